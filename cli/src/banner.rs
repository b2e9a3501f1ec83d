//! What is printed at start: one screen, ready to paste.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;

use restis_server::Running;

/// What the banner tells.
pub(crate) struct Banner<'b> {
    pub(crate) running: &'b Running,
    /// The first token of the store.
    pub(crate) token: Option<Secret<'b>>,
    /// Base URL of the functions, and the service token they accept.
    pub(crate) functions: Option<(&'b str, Secret<'b>)>,
    /// The link that opens the console once.
    pub(crate) console: Option<&'b str>,
    /// Variables with more secrets that were made.
    pub(crate) secrets: &'b [(&'static str, String)],
    /// Where the data lives, in words.
    pub(crate) store: &'b str,
}

/// A token as it may be printed.
#[derive(Clone, Copy)]
pub(crate) enum Secret<'b> {
    /// Given as a flag or made just now.
    Text(&'b str),
    /// Left in the environment: a shell expression that yields it.
    Variable(&'static str),
}

impl Secret<'_> {
    /// The token as a word of a shell command.
    fn word(self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::Variable(variable) => format!("\"{variable}\""),
        }
    }

    /// The URL of the Redis protocol with it, as a word of a shell command.
    fn redis_url(self, scheme: &str, addr: SocketAddr) -> String {
        match self {
            Self::Text(text) => {
                // What is no letter of a URL's password is escaped.
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
                let letter = |byte: u8| match plain(byte) {
                    true => char::from(byte).to_string(),
                    false => format!("%{byte:02X}"),
                };
                let password: String = text.bytes().map(letter).collect();
                quoted(&format!("{scheme}://default:{password}@{addr}"))
            }
            Self::Variable(variable) => format!("\"{scheme}://default:{variable}@{addr}\""),
        }
    }

    /// The header that carries it, as a word of a shell command.
    fn header(self) -> String {
        match self {
            Self::Text(text) => quoted(&format!("Authorization: Bearer {text}")),
            Self::Variable(variable) => format!("\"Authorization: Bearer {variable}\""),
        }
    }
}

struct Paint {
    on: bool,
}

impl Paint {
    fn bold(&self, text: &str) -> String {
        self.code("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.code("2", text)
    }

    fn code(&self, code: &str, text: &str) -> String {
        if self.on {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Prints the banner; a closed standard output is no reason not to serve.
pub(crate) fn print(banner: &Banner<'_>) {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = render(banner, &Paint { on: colours });
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

fn render(banner: &Banner<'_>, paint: &Paint) -> String {
    let url = banner.running.url();
    let mut lines = vec![
        format!(
            "{} {}",
            paint.bold("restis"),
            paint.dim(env!("CARGO_PKG_VERSION"))
        ),
        String::new(),
        format!(
            "  REST       {}   {}",
            paint.bold(url),
            paint.dim(banner.store)
        ),
    ];
    let scheme = if url.starts_with("https") {
        "rediss"
    } else {
        "redis"
    };
    if let Some(addr) = banner.running.redis_addr() {
        lines.push(format!(
            "  Redis      {}",
            paint.bold(&format!("{scheme}://{addr}"))
        ));
    }
    if let Some((functions, _)) = banner.functions {
        lines.push(format!(
            "  functions  {}   {}",
            paint.bold(functions),
            paint.dim("/api/openapi.json")
        ));
    }
    if let Some(console) = banner.console {
        lines.push(format!("  console    {}", paint.bold(console)));
    }
    if let Some(admin) = banner.running.admin_addr() {
        lines.push(format!("  admin      http://{admin}/health  /metrics"));
    }
    lines.push(String::new());
    if let Some(token) = banner.token {
        lines.push(format!(
            "export UPSTASH_REDIS_REST_URL={} UPSTASH_REDIS_REST_TOKEN={}",
            quoted(url),
            token.word()
        ));
        if let Some(addr) = banner.running.redis_addr() {
            lines.push(format!(
                "export REDIS_URL={}",
                token.redis_url(scheme, addr)
            ));
        }
        if let Some((functions, token)) = banner.functions {
            lines.push(format!(
                "export API_URL={} RESTIS_SERVICE_TOKEN={}",
                quoted(functions),
                token.word()
            ));
        }
        for (name, secret) in banner.secrets {
            lines.push(format!("export {name}={}", quoted(secret)));
        }
        lines.push(String::new());
        let auth = token.header();
        let insecure = if url.starts_with("https") { " -k" } else { "" };
        lines.push(format!("curl{insecure} {url}/set/greeting/hello -H {auth}"));
        lines.push(format!("curl{insecure} {url}/get/greeting -H {auth}"));
        lines.push(format!(
            "curl{insecure} {url}/pipeline -H {auth} -d '[[\"INCR\",\"n\"],[\"INCR\",\"n\"]]'"
        ));
        lines.push(String::new());
    }
    if let Some((functions, token)) = banner.functions {
        let auth = token.header();
        lines.push(format!("curl {functions}/api/health"));
        lines.push(format!(
            "curl {functions}/api/ratelimit -H {auth} -H 'Content-Type: application/json' \
             -d '{{\"identifier\":\"alice\"}}'"
        ));
        lines.push(String::new());
    }
    lines.push(paint.dim("Ctrl-C stops."));
    lines.push(String::new());
    lines.join("\n")
}

/// A word as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("http://127.0.0.1:8079"), "http://127.0.0.1:8079");
        assert_eq!(quoted("a b$c"), "'a b$c'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
