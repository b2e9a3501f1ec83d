/** A cookie as `cookies().set` takes it. */
export interface Cookie {
  name: string;
  value: string;
  path?: string;
  domain?: string;
  maxAge?: number;
  httpOnly?: boolean;
  secure?: boolean;
  partitioned?: boolean;
  sameSite?: "lax" | "strict" | "none";
}

/** Reads one `Set-Cookie` of the functions (RFC 6265, section 5.2). */
export function parseSetCookie(line: string): Cookie {
  const [pair = "", ...attributes] = line.split(";");
  const equals = pair.indexOf("=");
  const cookie: Cookie = { name: pair.slice(0, equals).trim(), value: pair.slice(equals + 1).trim() };
  for (const attribute of attributes) {
    const [name = "", value = ""] = attribute.split("=").map((part) => part.trim());
    switch (name.toLowerCase()) {
      case "path":
        cookie.path = value;
        break;
      case "domain":
        cookie.domain = value;
        break;
      case "max-age":
        cookie.maxAge = Number(value);
        break;
      case "httponly":
        cookie.httpOnly = true;
        break;
      case "secure":
        cookie.secure = true;
        break;
      case "partitioned":
        cookie.partitioned = true;
        break;
      case "samesite":
        cookie.sameSite = value.toLowerCase() as "lax";
    }
  }
  return cookie;
}
