/** Escaped as in the names that `restis::cache` writes: what is not plain is percent-encoded. */
function part(value: string | number): string {
  const text = String(value);
  if (new TextEncoder().encode(text).length > 200) throw new RangeError("a part of a tag has 200 bytes at most");
  if (!text) return "%";
  return text.replace(/[\u0000-\u0020\u007f#%*:?[\\\]^{}]|[^\u0000-\u007f]+/g, (found) =>
    [...new TextEncoder().encode(found)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/**
 * The name of a tag of a Rust function, for `cacheTag`, `revalidateTag` and `updateTag`.
 *
 * `tagOf("prop:{orgId}:{propertyId}", "acme", "p1")` is the tag that `Tag::new("prop:{orgId}:{propertyId}")`
 * makes of `("acme", "p1")`: whoever invalidates it, in Rust or here, invalidates what has it. A tag without
 * parameters is its own name.
 */
export function tagOf(pattern: string, ...values: (string | number)[]): string {
  let at = 0;
  const parts = pattern.split(":").map((text, place) => {
    if (!text.startsWith("{")) return place ? `#${text}` : text;
    if (at >= values.length) throw new RangeError(`${pattern} has more parameters than values`);
    const value = part(values[at++]!);
    return at === 1 ? `{${value}}` : value;
  });
  if (at < values.length) throw new RangeError(`${pattern} has fewer parameters than values`);
  return parts.join(":");
}
