//! What a session remembers of its device: short, coarse, never used as proof.

use std::net::IpAddr;

/// The most bytes of a label or a device id: longer values cost Redis its compact encoding.
pub const MAX_LABEL_BYTES: usize = 64;

/// Device facts for the list of sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    pub(crate) id: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) network: Option<String>,
}

impl Device {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the application's id of the device; cut to [`MAX_LABEL_BYTES`].
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = bounded(id);
        self
    }

    /// Sets a label for people; cut to [`MAX_LABEL_BYTES`].
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = bounded(label);
        self
    }

    /// Makes the label from a `User-Agent` header: `Chrome 139 / macOS`.
    #[must_use]
    pub fn user_agent(mut self, header: &str) -> Self {
        self.label = bounded(&label_of(header));
        self
    }

    /// Keeps the network of the address: /24 of IPv4, /48 of IPv6.
    #[must_use]
    pub fn address(mut self, ip: IpAddr) -> Self {
        self.network = Some(network_of(ip));
        self
    }
}

/// Cuts at a character's border, drops control characters; `None` if nothing is left.
fn bounded(text: &str) -> Option<String> {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > MAX_LABEL_BYTES {
            break;
        }
        out.push(c);
    }
    (!out.is_empty()).then_some(out)
}

fn network_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// Order matters: most browsers also claim to be the ones below them.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
    ("curl/", "curl"),
];

const PLATFORMS: &[(&str, &str)] = &[
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

fn label_of(header: &str) -> String {
    let header: String = header.chars().take(512).collect();
    let browser = BROWSERS.iter().find_map(|(mark, name)| {
        let (_, rest) = header.split_once(mark)?;
        let major: String = rest
            .chars()
            .take_while(char::is_ascii_digit)
            .take(4)
            .collect();
        Some(if major.is_empty() {
            (*name).to_owned()
        } else {
            format!("{name} {major}")
        })
    });
    let platform = PLATFORMS
        .iter()
        .find(|(mark, _)| header.contains(mark))
        .map(|(_, name)| *name);
    match (browser, platform) {
        (Some(browser), Some(platform)) => format!("{browser} / {platform}"),
        (Some(browser), None) => browser,
        (None, Some(platform)) => platform.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

/// Whether a label has the form that `User-Agent` headers get; names given by people do not compare.
pub(crate) fn is_of_agent(label: &str) -> bool {
    label.split_once(" / ").is_some_and(|(browser, platform)| {
        let name = browser.trim_end_matches(|c: char| c.is_ascii_digit());
        BROWSERS.iter().any(|(_, known)| *known == name.trim_end())
            && PLATFORMS.iter().any(|(_, known)| *known == platform)
    })
}

/// The label without version numbers: a change means another browser or platform.
pub(crate) fn family(label: &str) -> String {
    label
        .chars()
        .filter(|c| !c.is_ascii_digit())
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}
