//! The keys that are damaged.

use restis::clock::{Clock as _, SystemClock};

/// Keys that these requests do not write, though they or others read them.
pub(crate) fn unwritten() -> Vec<String> {
    let hour = 3_600_000;
    let this_hour = SystemClock::new().now_ms() / hour * hour;
    let names = [
        "ratelimit:default:denyList:all",
        "ratelimit:default:allowList:all",
        "ratelimit:default:denyList:ipDenyList",
        "ratelimit:default:denyList:ipDenyList:next",
        "ratelimit:default:ipDenyListStatus",
        "ratelimit:default:dynamic:global",
        "ratelimit:default:dynamic:of:alice",
        "ratelimit:default:lease:alice",
        "events:development:dlq",
        "events:development:work:sister:tries",
        "org:acme:u-acme:sessions:by-expiry",
        "org:acme:u-acme:epoch",
        "org:acme:u-acme:devices",
        "org:acme:u-acme:login:key",
        "user:u-acme:everywhere",
        "session:live:0",
        "signed:signer:m1",
        "cache:#lease:entries:{acme}:report",
        "cache:#all:entries",
        "cache:#next:page:build:/report",
        "cache:#next-tags:page:build:/report",
        "{metrics:development}:instances",
        "{metrics:development}:instance:of-another",
        "{metrics:development}:ended",
        "{metrics:development}:alerts",
    ];
    let mut names: Vec<_> = names.map(str::to_owned).into();
    names.push(format!("events:development:failed:{this_hour}"));
    names
}

/// The keys of docs/reference/KEYS.md, each as the texts that stand between what a program chooses.
pub(crate) fn documented() -> Vec<(String, Vec<String>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/KEYS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let keys = rows.flat_map(|row| {
        let column = row.split('|').nth(1).unwrap();
        let spans = column.split('`').skip(1).step_by(2);
        spans.filter(|span| span.contains(':')).collect::<Vec<_>>()
    });
    let fixed = |key: &str| {
        let mut key = key.to_owned();
        while let (Some(from), Some(to)) = (key.find('['), key.find(']')) {
            key.replace_range(from..=to, "");
        }
        // Names of what is chosen are capitals, single letters, or the digits of a date.
        let chosen = |part: &str| part.len() == 1 || part.starts_with(|c: char| c.is_ascii_digit());
        let parts = key
            .split(':')
            .map(|part| if chosen(part) { "X" } else { part });
        let parts = parts.collect::<Vec<_>>().join(":");
        let texts = parts.split(|c: char| c.is_ascii_uppercase());
        texts
            .filter(|text| !matches!(*text, "" | ":"))
            .map(str::to_owned)
            .collect()
    };
    keys.map(|key| (key.to_owned(), fixed(key))).collect()
}
