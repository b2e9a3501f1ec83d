//! The URL of a Redis: standalone, cluster or sentinel group.

use redis::{ConnectionInfo, IntoConnectionInfo as _};

/// Where a Redis is found. URLs hold passwords: nothing here prints them.
pub(super) enum Address {
    Standalone(Box<ConnectionInfo>),
    Cluster(Vec<ConnectionInfo>),
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        name: String,
        tls: bool,
        db: i64,
    },
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let url = url.trim();
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("not a Redis URL such as redis://host:6379")?;
        match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" | "unix" | "redis+unix" | "valkey+unix" => {
                Ok(Self::Standalone(Box::new(info(url)?)))
            }
            "redis-cluster" => Ok(Self::Cluster(nodes("redis", rest)?)),
            "rediss-cluster" => Ok(Self::Cluster(nodes("rediss", rest)?)),
            "redis-sentinel" => sentinel(rest, false),
            "rediss-sentinel" => sentinel(rest, true),
            "http" | "https" => {
                Err("that is the URL of a REST server; a Redis URL begins with redis:// or rediss://".into())
            }
            _ => Err(
                "unknown scheme; known: redis, rediss, unix, redis-cluster, rediss-cluster, redis-sentinel, rediss-sentinel"
                    .into(),
            ),
        }
    }

    /// The hosts or sockets it names, and the user it comes as.
    pub(super) fn places(&self) -> (Vec<String>, Option<String>) {
        let infos: Vec<&ConnectionInfo> = match self {
            Self::Standalone(info) => vec![info],
            Self::Cluster(nodes) => nodes.iter().collect(),
            Self::Sentinel { sentinels, .. } => sentinels.iter().collect(),
        };
        let user = infos
            .first()
            .and_then(|info| info.redis_settings().username())
            .filter(|user| *user != "default");
        let user = user.map(str::to_owned);
        let mut places: Vec<String> = infos
            .iter()
            .map(|info| info.addr().to_string().to_ascii_lowercase())
            .collect();
        if let Self::Sentinel { name, .. } = self {
            for place in &mut places {
                *place = format!("{place}/{name}");
            }
        }
        (places, user)
    }

    pub(super) fn uses_tls(&self) -> bool {
        let is_tls =
            |info: &ConnectionInfo| matches!(info.addr(), redis::ConnectionAddr::TcpTls { .. });
        match self {
            Self::Standalone(info) => is_tls(info),
            Self::Cluster(nodes) => nodes.iter().any(is_tls),
            Self::Sentinel { tls, .. } => *tls,
        }
    }
}

fn info(url: &str) -> Result<ConnectionInfo, String> {
    // The crate's error text is not shown: it may repeat the URL.
    url.into_connection_info().map_err(|_| {
        "not a usable Redis URL; expected scheme://[user[:password]@]host[:port][/db]".to_owned()
    })
}

/// Splits `user:password@a:1,b:2`; credentials count for every host.
fn nodes(scheme: &str, rest: &str) -> Result<Vec<ConnectionInfo>, String> {
    let (credentials, hosts) = match rest.rsplit_once('@') {
        Some((credentials, hosts)) => (format!("{credentials}@"), hosts),
        None => (String::new(), rest),
    };
    let hosts = hosts.trim_end_matches('/');
    hosts
        .split(',')
        .map(|host| info(&format!("{scheme}://{credentials}{host}")))
        .collect()
}

/// Splits `user:password@a:1,b:2/NAME/DB`; credentials are those of the Redis, not the sentinels.
fn sentinel(rest: &str, tls: bool) -> Result<Address, String> {
    let missing = "a sentinel URL ends in the master's name: redis-sentinel://host:26379/NAME";
    // A password may hold a slash: the path begins after the last `@`.
    let tail = rest.rfind('@').map_or(0, |at| at + 1);
    let slash = rest[tail..].find('/').ok_or(missing)? + tail;
    let (hosts, path) = (&rest[..slash], &rest[slash + 1..]);
    let (name, db) = path.split_once('/').unwrap_or((path, "0"));
    if name.is_empty() {
        return Err(missing.to_owned());
    }
    let db = db
        .parse()
        .map_err(|_| "the database number of the sentinel URL is not a number".to_owned())?;
    Ok(Address::Sentinel {
        sentinels: nodes("redis", hosts)?,
        name: name.to_owned(),
        tls,
        db,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_url() {
        let standalone = ["redis://h", "rediss://u:p@h:1/2", "unix:///tmp/r.sock"];
        for url in standalone {
            assert!(
                matches!(Address::parse(url), Ok(Address::Standalone(_))),
                "{url}"
            );
        }
        let cluster = Address::parse("rediss-cluster://u:p@a:1,b:2");
        assert!(matches!(&cluster, Ok(Address::Cluster(nodes)) if nodes.len() == 2));
        assert!(cluster.is_ok_and(|address| address.uses_tls()));
        let sentinel = Address::parse("redis-sentinel://:pw@a:1,b:2/mymaster/3");
        assert!(matches!(
            sentinel,
            Ok(Address::Sentinel { sentinels, name, db: 3, tls: false })
                if sentinels.len() == 2 && name == "mymaster"
        ));
    }

    #[test]
    fn tenants_of_one_redis_come_as_different_users() {
        let user = |url: &str| Address::parse(url).map(|address| address.places().1);
        assert_eq!(user("redis://a:p@h/1"), Ok(Some("a".to_owned())));
        for nobody in ["redis://h", "redis://:p@h", "redis://default:p@h"] {
            assert_eq!(user(nobody), Ok(None), "{nobody}");
        }
        let places = |url: &str| Address::parse(url).map(|address| address.places().0);
        assert_eq!(places("redis://H:6379/1"), places("redis://a:p@h/2"));
        assert_ne!(places("redis://h:6379"), places("redis://h:6380"));
        assert_ne!(
            places("redis-sentinel://h:1/one"),
            places("redis-sentinel://h:1/two")
        );
    }

    #[test]
    fn mistakes_are_explained_without_the_url() {
        for url in [
            "host:6379",
            "https://secret@x.upstash.io",
            "redis-sentinel://secret@a:1",
            "redis-sentinel://secret@a:1/m/x",
            "ftp://secret@h",
            "redis://secret@[h",
        ] {
            let error = Address::parse(url).err().unwrap_or_default();
            assert!(
                !error.is_empty() && !error.contains("secret"),
                "{url}: {error}"
            );
        }
    }
}
