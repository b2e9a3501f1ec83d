//! Whose address a `REDIS_URL` is, and what to do with it.

use std::net::IpAddr;

use crate::transport::address;

/// Ends of host names, by provider.
const PROVIDERS: [(&str, &[&str]); 9] = [
    (
        "Redis Cloud",
        &[
            ".redis-cloud.com",
            ".cloud.redislabs.com",
            ".cloud.rlrcp.com",
        ],
    ),
    ("Amazon ElastiCache", &[".cache.amazonaws.com"]),
    ("Amazon MemoryDB", &[".amazonaws.com"]),
    ("Azure", &[".redis.cache.windows.net", ".redis.azure.net"]),
    ("Aiven", &[".aivencloud.com"]),
    ("DigitalOcean", &[".db.ondigitalocean.com"]),
    ("Railway", &[".railway.internal", ".rlwy.net"]),
    ("Render", &[".render.com"]),
    ("Fly.io", &[".fly.dev", ".internal"]),
];

/// The host of an Upstash database, whose REST address is the same.
pub(super) fn upstash(value: &str) -> Option<String> {
    let url = address::parse(value)?;
    let host = url.host_str()?.to_ascii_lowercase();
    let tcp = matches!(url.scheme(), "redis" | "rediss");
    (tcp && host.ends_with(".upstash.io")).then_some(host)
}

/// What to do with an address that this client cannot use; no part of it is repeated.
pub(super) fn advice(name: &str, value: &str) -> String {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let scheme = scheme.to_ascii_lowercase();
    let serve = |what: &str, address: &str, place: &str| {
        format!(
            "{what} has no REST API: run `restis serve --redis {address} --token TOKEN`{place}, \
             and set UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN to it"
        )
    };
    let same = format!("\"${name}\"");
    match &*scheme {
        "http" | "https" => {
            return "use UPSTASH_REDIS_REST_URL for a REST address, and \
                    UPSTASH_REDIS_REST_TOKEN for its token"
                .to_owned();
        }
        "redis-cluster" | "rediss-cluster" => return serve("a Redis Cluster", &same, ""),
        "redis-sentinel" | "rediss-sentinel" => {
            return serve("a Redis behind Sentinel", &same, "");
        }
        "unix" => return serve("a Redis on a Unix socket", &same, " on the same machine"),
        "redis" | "rediss" => {}
        _ => return "use a URL like rediss://default:TOKEN@example.upstash.io:6379".to_owned(),
    }
    let host = host(rest);
    let is_of = |ends: &[&str]| ends.iter().any(|end| host.ends_with(end));
    let provider = PROVIDERS.iter().find(|(_, ends)| is_of(ends));
    let in_network = " in a network that reaches it";
    match provider.map(|(name, _)| *name) {
        Some(name @ ("Amazon ElastiCache" | "Amazon MemoryDB"))
            if host.starts_with("clustercfg.") =>
        {
            let cluster = format!("{scheme}-cluster://…");
            let place = " in its VPC (its URL with that scheme, since it is a cluster)";
            serve(name, &cluster, place)
        }
        Some(name @ ("Amazon ElastiCache" | "Amazon MemoryDB")) => {
            serve(name, &same, " in its VPC")
        }
        Some(name) => serve(name, &same, ""),
        None if is_private(&host) => serve(
            "a Redis at a private address (Memorystore, Docker, a server of your own)",
            &same,
            in_network,
        ),
        None => serve("this Redis", &same, in_network),
    }
}

/// The host of what follows `scheme://`, in lower case, without a port.
fn host(rest: &str) -> String {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let address = authority.rsplit('@').next().unwrap_or_default();
    let host = match address.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => address.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}

fn is_private(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            address.is_private() || address.is_loopback() || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        // A name without a dot is one of a local network, such as a container's.
        Err(_) => !host.contains('.') || host.rsplit('.').next() == Some("local"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_names_its_provider_and_the_line_that_helps() {
        for (url, parts) in [
            (
                "redis://default:hunter2@redis-12345.c1.us-east-1-2.ec2.redns.redis-cloud.com:12345",
                &["Redis Cloud", "restis serve --redis \"$REDIS_URL\""][..],
            ),
            (
                "rediss://:hunter2@redis-1.c9.us-east-1-4.ec2.cloud.redislabs.com:16379",
                &["Redis Cloud"],
            ),
            (
                "rediss://:hunter2@master.name.abc123.euw1.cache.amazonaws.com:6379",
                &["ElastiCache", "VPC", "\"$REDIS_URL\""],
            ),
            (
                "rediss://clustercfg.name.abc123.euw1.cache.amazonaws.com:6379",
                &["ElastiCache", "VPC", "rediss-cluster://"],
            ),
            (
                "redis://10.1.2.3:6379",
                &["Memorystore", "a network that reaches it"],
            ),
            ("redis://localhost:6379", &["private", "restis serve"]),
            ("redis://redis:6379/0", &["Docker"]),
            ("redis://[::1]:6379", &["private"]),
            ("rediss://user:hunter2@cache.example.com", &["this Redis"]),
            ("redis-cluster://a:1,b:2", &["Cluster"]),
            ("redis-sentinel://a:1,b:2/main", &["Sentinel"]),
            ("unix:///run/redis.sock", &["socket", "same machine"]),
            (
                "https://example.upstash.io",
                &["UPSTASH_REDIS_REST_URL for a REST"],
            ),
            ("example.com:6379", &["use a URL"]),
        ] {
            let said = advice("REDIS_URL", url);
            assert!(!said.contains("hunter2"), "{said}");
            for part in parts {
                assert!(said.contains(part), "{url}: {said}");
            }
        }
    }

    #[test]
    fn an_upstash_address_is_one_by_its_host_alone() {
        let host = upstash("rediss://default:TOKEN@Example.upstash.io:6379");
        assert_eq!(host.as_deref(), Some("example.upstash.io"));
        for other in [
            "rediss://default:TOKEN@example.upstash.io.example.com:6379",
            "rediss://x.upstash.io@example.com:6379",
            "https://example.upstash.io",
        ] {
            assert_eq!(upstash(other), None, "{other}");
        }
    }
}
