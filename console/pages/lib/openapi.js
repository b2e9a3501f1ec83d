// What an OpenAPI description says of operations and values.

/** Operations in order: `{ id, method, path, tag, described }`. */
export function operations(api) {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      id: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path, tag: described.tags?.[0] ?? 'other', described,
    })),
  );
}

/** A schema without references; of alternatives the first one that is not null. */
export function resolve(api, schema) {
  for (let left = 16; schema?.$ref && left > 0; left--) {
    schema = schema.$ref.slice(2).split('/').reduce((at, part) => at?.[part], api);
  }
  const real = (schema?.oneOf ?? schema?.anyOf)?.find((one) => one.type !== 'null');
  return real ? resolve(api, real) : schema ?? {};
}

/** `string`, `object`, …; `any` where it does not say. */
export const kind = (schema) => [schema.type].flat().find((type) => type && type !== 'null') ?? (schema.properties ? 'object' : 'any');

/**
 * A value that fits: what is required, has an example or is known. `known(name)` gives real values of a member.
 * No organisation is chosen for others: what is known need not be one's own.
 */
export function sample(api, schema, known, name = '', depth = 0) {
  schema = resolve(api, schema);
  const [real] = known(name);
  if (real !== undefined && kind(schema) !== 'array') return real;
  const given = schema.example ?? schema.examples?.[0] ?? schema.const ?? schema.enum?.[0] ?? schema.default;
  if (kind(schema) === 'array') {
    const items = known(name).slice(0, 3);
    return items.length > 0 ? items : given ?? (schema.minItems > 0 && depth < 7 ? [sample(api, schema.items, known, '', depth + 1)] : []);
  }
  if (given !== undefined) return given;
  if (depth > 6) return null;
  switch (kind(schema)) {
    case 'object': {
      const wanted = Object.entries(schema.properties ?? {}).filter(([name, part]) => schema.required?.includes(name) || resolve(api, part).example !== undefined || (name !== 'organisation' && known(name).length > 0));
      return Object.fromEntries(wanted.map(([name, part]) => [name, sample(api, part, known, name, depth + 1)]));
    }
    case 'integer': case 'number': return schema.minimum ?? 0;
    case 'boolean': return false;
    case 'string': return '';
    default: return {};
  }
}

/** The bounds of a schema in words. */
export function bounds(schema) {
  const words = [kind(schema)];
  if (schema.enum) words.push(schema.enum.join(' | '));
  if (schema.minimum !== undefined || schema.maximum !== undefined) words.push(`${schema.minimum ?? ''}–${schema.maximum ?? ''}`);
  if (schema.maxLength) words.push(`at most ${schema.maxLength} characters`);
  if (schema.maxItems) words.push(`at most ${schema.maxItems}`);
  return words.join(', ');
}
