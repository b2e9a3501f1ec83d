//! Typed keyspaces: which keys there are, what they hold, how long it lives.

use std::{fmt, marker::PhantomData, time::Duration};

use super::{
    key::{Key, Settings},
    params::{FitsKey, KeyShape, Parts},
    pattern::Pattern,
    value::Codec,
};

/// Most tags of one keyspace.
pub const MAX_TAGS: usize = 8;

/// How long a value lives; times count from the start of its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    pub(super) fresh: Duration,
    pub(super) stale: Duration,
    pub(super) on_error: Duration,
    /// The most by which the fresh time is shortened at random, in percent.
    pub(super) jitter: u8,
}

impl Lifetime {
    /// Served for this long, then loaded again.
    pub const fn new(fresh: Duration) -> Self {
        Self {
            fresh,
            stale: Duration::ZERO,
            on_error: Duration::ZERO,
            jitter: 0,
        }
    }

    /// Shortens the fresh time of each value by up to so many percent, 90 at most, so that values of
    /// one moment do not end together. It is never longer than was promised.
    #[must_use]
    pub const fn jitter(mut self, percent: u8) -> Self {
        self.jitter = if percent < 90 { percent } else { 90 };
        self
    }

    /// Served for this much longer while a new value is loaded: `stale-while-revalidate`.
    #[must_use]
    pub const fn stale(mut self, further: Duration) -> Self {
        self.stale = further;
        self
    }

    /// Served when a load fails, for this long after it was fresh: `stale-if-error`.
    #[must_use]
    pub const fn on_error(mut self, further: Duration) -> Self {
        self.on_error = further;
        self
    }

    /// How long a value is fresh.
    pub const fn fresh(&self) -> Duration {
        self.fresh
    }

    /// How long the store keeps a value.
    pub(super) fn kept(&self) -> Duration {
        self.fresh.saturating_add(self.stale.max(self.on_error))
    }
}

/// Keys of one pattern, the type of their parameters and of their values.
///
/// Declared as a constant, a pattern that its parameters do not fit does not compile:
///
/// ```
/// use restis::cache::Keyspace;
/// use std::time::Duration;
///
/// const REPORTS: Keyspace<(String, String, String), Vec<u64>> =
///     Keyspace::new("reports:{orgId}:{propertyId}:{date}")
///         .tag("org:{orgId}")
///         .tag("prop:{orgId}:{propertyId}")
///         .fresh_for(Duration::from_secs(60));
///
/// let key = REPORTS.key(("acme", "p 1", "2026-01-31"));
/// assert_eq!(key.name(), "reports:{acme}:p%201:2026-01-31");
/// ```
///
/// ```compile_fail
/// # use restis::cache::Keyspace;
/// const TWO: Keyspace<(String, String), u64> = Keyspace::new("reports:{orgId}");
/// ```
///
/// ```compile_fail
/// # use restis::cache::Keyspace;
/// const ONE: Keyspace<(String,), u64> = Keyspace::new("reports:{orgId}").tag("org:{org}");
/// ```
///
/// ```compile_fail
/// # use restis::{cache::Keyspace, key_params};
/// struct Balance {
///     organisation: String,
///     account: u64,
/// }
/// // The fields are not in the order of the pattern.
/// key_params!(Balance { account, organisation });
/// const BALANCES: Keyspace<Balance, i64> = Keyspace::new("balances:{organisation}:{account}");
/// ```
///
/// ```compile_fail
/// # use restis::cache::Tag;
/// const TAG: Tag<(String, String)> = Tag::new("org:{orgId}");
/// ```
///
/// ```compile_fail
/// # use restis::cache::Keyspace;
/// const ONE: Keyspace<(u64,), u64> = Keyspace::new("reports:{orgId}");
/// let key = ONE.key(("acme",));
/// ```
pub struct Keyspace<P, V> {
    pattern: Pattern,
    tags: [Pattern; MAX_TAGS],
    slot: u8,
    settings: Settings,
    types: PhantomData<fn(P) -> V>,
}

impl<P, V> Clone for Keyspace<P, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, V> Copy for Keyspace<P, V> {}

impl<P, V> fmt::Debug for Keyspace<P, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace")
            .field("pattern", &self.pattern.text())
            .finish_non_exhaustive()
    }
}

impl<V> Keyspace<(String,), V> {
    /// Keys of any text, named `cache:{key}`: for keys that have no parts.
    ///
    /// They never meet the keys of a pattern. They have one namespace: clearing it clears all.
    pub const fn free() -> Self {
        Self::over(Pattern::free())
    }
}

impl<P: KeyShape, V> Keyspace<P, V> {
    /// Keys of a pattern: literal parts and `{parameters}` between colons, a literal first.
    ///
    /// Values are fresh for a minute unless told otherwise.
    ///
    /// # Panics
    /// When the pattern is malformed or the parameters do not fit; in a constant that is an error of
    /// the compiler.
    pub const fn new(pattern: &'static str) -> Self {
        let pattern = Pattern::keyspace(pattern);
        assert!(
            pattern.count() == P::COUNT,
            "the pattern has another number of parameters than their type"
        );
        let mut place = 0;
        while place < P::NAMES.len() {
            assert!(
                pattern.is_named(place, P::NAMES[place]),
                "the fields of the parameters are not those of the pattern"
            );
            place += 1;
        }
        Self::over(pattern)
    }
}

impl<P, V> Keyspace<P, V> {
    const fn over(pattern: Pattern) -> Self {
        Self {
            pattern,
            tags: [Pattern::NONE; MAX_TAGS],
            slot: 0,
            settings: Settings {
                lifetime: Lifetime::new(Duration::from_secs(60)),
                absent: None,
                codec: Codec::Json,
                schema: 0,
                cleared: true,
                local: Duration::ZERO,
                lease: None,
            },
            types: PhantomData,
        }
    }

    /// Adds a tag of every key, such as `org:{orgId}`: all that has it can be invalidated at once.
    ///
    /// # Panics
    /// When the tag is malformed or has a parameter that the pattern has not, and for a ninth tag; in
    /// a constant that is an error of the compiler.
    #[must_use]
    pub const fn tag(mut self, tag: &'static str) -> Self {
        let tag = Pattern::tag(tag).within(&self.pattern);
        let mut place = 0;
        while place < MAX_TAGS && !self.tags[place].is_none() {
            place += 1;
        }
        assert!(place < MAX_TAGS, "a keyspace has at most eight tags");
        self.tags[place] = tag;
        self
    }

    /// The parameter that names the hash tag, so that its keys and tags lie in one slot of a cluster;
    /// the first one by default.
    ///
    /// # Panics
    /// When the pattern has no such parameter; in a constant that is an error of the compiler.
    #[must_use]
    pub const fn slot(mut self, parameter: &str) -> Self {
        let mut place = 0;
        while place < self.pattern.count() {
            if self.pattern.is_named(place, parameter) {
                self.slot = place as u8;
                return self;
            }
            place += 1;
        }
        panic!("the pattern has no such parameter");
    }

    /// How long values are fresh; a minute by default.
    #[must_use]
    pub const fn fresh_for(mut self, time: Duration) -> Self {
        self.settings.lifetime.fresh = time;
        self
    }

    /// How long values live.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.settings.lifetime = lifetime;
        self
    }

    /// How long it is remembered that a loader found nothing; not at all by default.
    #[must_use]
    pub const fn absent_for(mut self, time: Duration) -> Self {
        self.settings.absent = Some(time);
        self
    }

    /// The version of the type of values: what another version wrote is a miss.
    #[must_use]
    pub const fn schema(mut self, version: u32) -> Self {
        self.settings.schema = version;
        self
    }

    /// How values are written; JSON by default.
    #[must_use]
    pub const fn codec(mut self, codec: Codec) -> Self {
        self.settings.codec = codec;
        self
    }

    /// Gives up [`Cache::clear`](super::Cache::clear): on a cluster the marker of a whole keyspace lies
    /// in a slot of its own, and reading it is one more command.
    #[must_use]
    pub const fn never_cleared(mut self) -> Self {
        self.settings.cleared = false;
        self
    }

    /// Keeps values in this process too, for this long at most: also never longer than 5 s, a third of
    /// their fresh time, and what is left of it.
    ///
    /// Reads of them cost nothing. What another process invalidates is seen after that time; what this
    /// one invalidates at once. While the store does not answer, they are served for as long as the
    /// store would have kept them as fresh or stale ones. Not at all by default; see
    /// [`memory_bytes`](super::CacheConfig::memory_bytes).
    #[must_use]
    pub const fn local(mut self, time: Duration) -> Self {
        self.settings.local = time;
        self
    }

    /// Lets one process load at a time, for at most this long each: for loads that cost much and keys
    /// that many processes read. It costs two more commands for each load.
    ///
    /// Others serve a stale value or look for the new one until the time is over, then load. Nothing
    /// relies on it: two processes may load when the store fails over.
    #[must_use]
    pub const fn lease(mut self, longest_load: Duration) -> Self {
        self.settings.lease = Some(longest_load);
        self
    }

    pub(super) const fn namespace(&self) -> &'static str {
        self.pattern.namespace()
    }

    pub(super) const fn is_cleared(&self) -> bool {
        self.settings.cleared
    }

    /// One key; parameters of any text name different keys for different values.
    ///
    /// A parameter of more than 200 bytes is named by its SHA-256.
    pub fn key<Q: FitsKey<P>>(&self, parameters: Q) -> Key<V> {
        let parts = Parts::new(&parameters);
        let name = self
            .pattern
            .render("", &parts, Some(usize::from(self.slot)));
        // Those in the slot of the entry first.
        let tags = self.tags.iter().filter(|tag| !tag.is_none());
        let (near, far): (Vec<&Pattern>, Vec<&Pattern>) =
            tags.partition(|tag| tag.lies_with(self.slot));
        let tags = near.into_iter().chain(far);
        let tags = tags.map(|tag| tag.marker(&parts)).collect();
        Key::new(name, self.pattern.namespace(), tags, self.settings)
    }
}

/// A tag by its pattern; see [`Keyspace::tag`].
///
/// ```
/// use restis::cache::Tag;
///
/// const ORGANISATION: Tag<(String,)> = Tag::new("org:{orgId}");
/// let acme = ORGANISATION.of(("acme",));
/// ```
pub struct Tag<P> {
    pattern: Pattern,
    types: PhantomData<fn(P)>,
}

impl<P> fmt::Debug for Tag<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tag").field(&self.pattern.text()).finish()
    }
}

impl<P: KeyShape> Tag<P> {
    /// The tag of a pattern, written as in [`Keyspace::tag`].
    ///
    /// # Panics
    /// When it is malformed or the parameters do not fit; in a constant that is an error of the
    /// compiler.
    pub const fn new(pattern: &'static str) -> Self {
        let pattern = Pattern::tag(pattern);
        assert!(
            pattern.count() == P::COUNT,
            "the tag has another number of parameters than their type"
        );
        Self {
            pattern,
            types: PhantomData,
        }
    }

    /// The tag of these parameters.
    pub fn of<Q: FitsKey<P>>(&self, parameters: Q) -> TagKey {
        TagKey(self.pattern.marker(&Parts::new(&parameters)))
    }
}

/// One tag, to invalidate all that has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagKey(pub(super) String);
