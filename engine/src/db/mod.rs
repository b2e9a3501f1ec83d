//! The keyspace: typed access to keys, expiry, memory accounting, keyspace notifications.

mod capture;
mod check;
pub(crate) mod effects;
mod entry;
mod events;
mod expiry;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::blocked::Blocked;
use crate::budget::Budget;
use crate::dict::{Dict, Rng};
use crate::error::{Error, WRONGTYPE};
use crate::hash::Hash;
use crate::hub::Hub;
use crate::search::{Documents, Registry};
use crate::stream::Stream;
use crate::value::{Typed, Value};
use crate::watch::WatchList;
use capture::Capture;
use effects::Effects;
use entry::{Entry, Volatile, expire_of, is_due};

pub(crate) use capture::{KEY, put_entry};
pub(crate) use events::Event;

/// Values of this weight are freed outside the lock.
const LARGE: usize = 64 * 1024;
/// The longest that patterns are compared with the notifications of one command.
const NOTICES_LIMIT: Duration = Duration::from_millis(500);
/// Message ids that a write to a stream forgets at most; active expiry forgets the others.
const MESSAGE_IDS_STEP: usize = 1000;

/// Counters of a keyspace.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Cell<u64>,
    pub(crate) misses: Cell<u64>,
    pub(crate) expired: u64,
    pub(crate) evicted: u64,
    pub(crate) changes: u64,
}

impl Counters {
    /// Sets all but the changes, which snapshots count by, to zero.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            changes: self.changes,
            ..Self::default()
        };
    }
}

/// Values and keyspaces to be freed where nobody waits.
#[derive(Debug, Default)]
pub(crate) struct Dead {
    values: Vec<Value>,
    keys: Vec<Dict<Entry>>,
}

impl Dead {
    /// Frees large values on a thread of their own: whoever called may be an event loop.
    pub(crate) fn free(self) {
        if self.values.is_empty() && self.keys.is_empty() {
            return;
        }
        // Without a thread the closure is dropped, and what it holds with it.
        let _ = std::thread::Builder::new()
            .name("restis-free".to_owned())
            .spawn(move || drop(self));
    }
}

/// The keyspace of one engine.
///
/// Reads (`read`, `value`) take `&self` and see no expired key. Writes (`write`, `create`, `put`,
/// `remove`) remember what they touched; after each command [`Db::settle`] removes emptied
/// collections and accounts for memory, so commands need not do either.
#[derive(Debug)]
pub(crate) struct Db {
    keys: Dict<Entry>,
    /// Keys with an expiry, in no order.
    volatile: Vec<Volatile>,
    /// Where active expiry goes on in `volatile`.
    expire_next: usize,
    /// Whether the running command only reads.
    reading: bool,
    /// Hashes with field expiries and streams with message ids: position to the time registered in
    /// `field_due`.
    field_expiry: HashMap<u32, u64, foldhash::fast::RandomState>,
    field_due: BTreeSet<(u64, u32)>,
    touched: Vec<u32>,
    stale: RefCell<Vec<u32>>,
    /// What went and takes long to free.
    dead: Dead,
    now: u64,
    used: usize,
    notify: u32,
    hub: Arc<Hub>,
    /// What the notifications of the running command may still do.
    notices: Budget,
    /// Search indexes, told of every key that is written or removed.
    pub(crate) search: Registry,
    /// Transactions that are told of keys that change.
    pub(crate) watch: Arc<WatchList>,
    /// Calls that wait for keys.
    pub(crate) blocked: Blocked,
    pub(crate) rng: Rng,
    pub(crate) counters: Counters,
    /// What a log of changes gets.
    pub(crate) effects: Effects,
    /// A snapshot that is being taken.
    capture: Option<Box<Capture>>,
}

impl Db {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            keys: Dict::default(),
            volatile: Vec::new(),
            expire_next: 0,
            reading: false,
            field_expiry: HashMap::default(),
            field_due: BTreeSet::new(),
            touched: Vec::new(),
            stale: RefCell::default(),
            dead: Dead::default(),
            now: 0,
            used: 0,
            notify: 0,
            hub,
            notices: Budget::with_time_limit(NOTICES_LIMIT),
            search: Registry::default(),
            watch: Arc::default(),
            blocked: Blocked::default(),
            rng: Rng::new(),
            counters: Counters::default(),
            effects: Effects::default(),
            capture: None,
        }
    }

    /// Unix milliseconds; constant within a command, a script, a transaction.
    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// Keys, those that are due and not yet removed included.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Keys that have an expiry.
    pub(crate) fn volatile_len(&self) -> usize {
        self.volatile.len()
    }

    /// Roughly the bytes the data takes, search indexes included.
    pub(crate) fn used(&self) -> usize {
        self.used + self.search.weight()
    }

    fn is_due(&self, entry: &Entry) -> bool {
        is_due(&self.volatile, entry, self.now)
    }

    /// Whether there is an entry at a position that is due.
    fn is_due_at(&self, at: u32) -> bool {
        self.keys.value(at).is_some_and(|entry| self.is_due(entry))
    }

    fn live(&self, key: &[u8]) -> Option<(u32, &Entry)> {
        let found = self.keys.find(key).and_then(|at| {
            let entry = self.keys.value(at)?;
            if self.is_due(entry) {
                self.stale.borrow_mut().push(at);
                return None;
            }
            Some((at, entry))
        });
        if self.reading {
            self.count_lookup(key, found.is_some());
        }
        found
    }

    fn count_lookup(&self, key: &[u8], found: bool) {
        let counter = if found {
            &self.counters.hits
        } else {
            &self.counters.misses
        };
        counter.set(counter.get() + 1);
        if !found && self.notify & Event::KEY_MISS.0 != 0 {
            self.notify(Event::KEY_MISS, "keymiss", key);
        }
    }

    /// A command begins, which only reads or not.
    pub(crate) fn begin(&mut self, reading: bool) {
        self.reading = reading;
        self.notices.renew();
    }

    /// The value of a key, whatever its type.
    pub(crate) fn value(&self, key: &[u8]) -> Option<&Value> {
        self.live(key).map(|(_, entry)| &entry.value)
    }

    pub(crate) fn exists(&self, key: &[u8]) -> bool {
        self.live(key).is_some()
    }

    /// The value of a key if it has the wanted type. For hashes use [`Db::read_hash`].
    pub(crate) fn read<T: Typed>(&self, key: &[u8]) -> Result<Option<&T>, Error> {
        match self.live(key) {
            None => Ok(None),
            Some((_, entry)) => T::of(&entry.value).map(Some).ok_or(WRONGTYPE),
        }
    }

    /// A hash without the fields that are due.
    pub(crate) fn read_hash(&mut self, key: &[u8]) -> Result<Option<&Hash>, Error> {
        let now = self.now;
        let due = self
            .read::<Hash>(key)?
            .is_some_and(|hash| hash.next_expiry().is_some_and(|at| at <= now));
        if due {
            self.write::<Hash>(key)?;
        }
        // A hash whose last field went is gone for the reader, too.
        match self.keys.find(key).and_then(|at| self.keys.value(at)) {
            Some(entry) if !self.is_due(entry) => {
                Ok(Hash::of(&entry.value).filter(|hash| !hash.is_empty()))
            }
            _ => Ok(None),
        }
    }

    /// A stream without the message ids that are due.
    pub(crate) fn read_stream(&mut self, key: &[u8]) -> Result<Option<&Stream>, Error> {
        let now = self.now;
        let due = self
            .read::<Stream>(key)?
            .is_some_and(|stream| stream.next_expiry().is_some_and(|at| at <= now));
        if due {
            self.write::<Stream>(key)?;
        }
        self.read::<Stream>(key)
    }

    /// Write access to an existing key of the wanted type.
    pub(crate) fn write<T: Typed>(&mut self, key: &[u8]) -> Result<Option<&mut T>, Error> {
        let Some(at) = self.position(key) else {
            return Ok(None);
        };
        let value = self.touch_at(at).ok_or(WRONGTYPE)?;
        T::of_mut(value).map(Some).ok_or(WRONGTYPE)
    }

    /// Write access to a key of the wanted type, made empty if missing.
    pub(crate) fn create<T: Typed>(&mut self, key: &[u8]) -> Result<&mut T, Error> {
        let at = match self.position(key) {
            Some(at) => at,
            None => self.add(key, T::default().into_value()),
        };
        let value = self.touch_at(at).ok_or(WRONGTYPE)?;
        T::of_mut(value).ok_or(WRONGTYPE)
    }

    /// Fails if the key holds another type.
    pub(crate) fn expect<T: Typed>(&self, key: &[u8]) -> Result<(), Error> {
        self.read::<T>(key).map(drop)
    }

    /// The position of a live key; removes it if it is due.
    fn position(&mut self, key: &[u8]) -> Option<u32> {
        let at = self.keys.find(key)?;
        if self.is_due(self.keys.value(at)?) {
            self.expire_at_position(at);
            return None;
        }
        Some(at)
    }

    fn touch_at(&mut self, at: u32) -> Option<&mut Value> {
        self.captured(at);
        self.touched.push(at);
        let now = self.now;
        let entry = self.keys.value_mut(at)?;
        if let Value::Hash(hash) = &mut entry.value
            && hash.next_expiry().is_some_and(|due| due <= now)
        {
            hash.expire(now, usize::MAX);
            if self.notify != 0
                && let Some(key) = self.keys.key(at)
            {
                let key = Bytes::copy_from_slice(key);
                self.notify(Event::HASH, "hexpired", &key);
            }
        } else if let Value::Stream(stream) = &mut entry.value {
            stream.expire(now, MESSAGE_IDS_STEP);
        }
        self.keys.value_mut(at).map(|entry| &mut entry.value)
    }

    fn add(&mut self, key: &[u8], value: Value) -> u32 {
        let at = self.keys.insert_new(key, Entry::new(value));
        self.left_out(at);
        self.touched.push(at);
        if self.notify & Event::NEW.0 != 0 {
            self.notify(Event::NEW, "new", key);
        }
        at
    }

    /// Sets a key to a value and forgets its expiry.
    pub(crate) fn put(&mut self, key: &[u8], value: Value) {
        let at = self.replace(key, value);
        self.set_expiry_at(at, 0);
    }

    /// Sets a key to a value and leaves its expiry as it is.
    pub(crate) fn put_keep_expiry(&mut self, key: &[u8], value: Value) {
        self.replace(key, value);
    }

    fn replace(&mut self, key: &[u8], value: Value) -> u32 {
        let Some(at) = self.position(key) else {
            return self.add(key, value);
        };
        self.captured(at);
        if self.search.is_defined() {
            self.effects.of_key(self.now, effects::FORGET, key);
            self.search.forget(key);
        }
        self.touched.push(at);
        if let Some(entry) = self.keys.value_mut(at) {
            let old = std::mem::replace(&mut entry.value, value);
            if entry.weight() > LARGE {
                self.dead.values.push(old);
            }
        }
        at
    }

    /// Removes a key if it is due.
    pub(crate) fn remove_due(&mut self, key: &[u8]) {
        self.position(key);
        self.settle();
    }

    /// Removes a key; says whether it was there.
    pub(crate) fn remove(&mut self, key: &[u8]) -> bool {
        let Some(at) = self.position(key) else {
            return false;
        };
        self.bury(at)
    }

    /// Removes a key, also one that is due; what a record says.
    pub(crate) fn remove_whole(&mut self, key: &[u8]) {
        if let Some(at) = self.keys.find(key) {
            self.bury(at);
        }
    }

    /// Removes an entry and frees its value later if that takes long.
    fn bury(&mut self, at: u32) -> bool {
        let Some(entry) = self.remove_at(at) else {
            return false;
        };
        if entry.weight() > LARGE {
            self.dead.values.push(entry.value);
        }
        true
    }

    /// What is to be freed outside the lock.
    pub(crate) fn take_dead(&mut self) -> Dead {
        std::mem::take(&mut self.dead)
    }

    /// Removes a key; returns its value and expiry (0: none).
    pub(crate) fn take(&mut self, key: &[u8]) -> Option<(Value, u64)> {
        let at = self.position(key)?;
        let expire = expire_of(&self.volatile, self.keys.value(at)?);
        let entry = self.remove_at(at)?;
        Some((entry.value, expire))
    }

    fn remove_at(&mut self, at: u32) -> Option<Entry> {
        self.set_expiry_at(at, 0);
        self.forget_field_expiry(at);
        let (key, entry) = self.keys.remove_at(at)?;
        self.effects.of_key(self.now, effects::REMOVE, &key);
        self.search.forget(&key);
        self.watch.changed(&key);
        self.blocked.changed(&key);
        self.used -= entry.weight();
        self.counters.changes += 1;
        Some(entry)
    }

    /// Settles what a command left: emptied collections go, memory is counted, keys that reads
    /// found due are removed.
    pub(crate) fn settle(&mut self) {
        if !self.touched.is_empty() {
            self.settle_touched();
        }
        if !self.stale.get_mut().is_empty() {
            let stale = std::mem::take(self.stale.get_mut());
            for at in stale {
                if self.is_due_at(at) {
                    self.expire_at_position(at);
                }
            }
        }
    }

    fn settle_touched(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        let mut recorded = None;
        for at in touched.drain(..) {
            let Some((key, entry)) = self.keys.entry(at) else {
                continue;
            };
            if entry.value.is_empty() {
                let key = Bytes::copy_from_slice(key);
                self.bury(at);
                self.notify(Event::GENERIC, "del", &key);
                continue;
            }
            let weight = Entry::units(key, &entry.value);
            let next = match &entry.value {
                Value::Hash(hash) => hash.next_expiry(),
                Value::Stream(stream) => stream.next_expiry(),
                _ => None,
            };
            if self.effects.is_on() && recorded != Some(at) {
                let expire = expire_of(&self.volatile, entry);
                self.effects.written(self.now, at, key, expire, entry);
                recorded = Some(at);
            }
            self.search.note(key);
            self.watch.changed(key);
            self.blocked.changed(key);
            if next.is_some() || !self.field_expiry.is_empty() {
                self.register_field_expiry(at, next);
            }
            if let Some(entry) = self.keys.value_mut(at) {
                self.used -= entry.weight();
                entry.weight = weight;
                self.used += entry.weight();
            }
            self.counters.changes += 1;
        }
        if self.touched.is_empty() && touched.capacity() <= 1024 {
            self.touched = touched;
        }
    }

    /// A random live key.
    pub(crate) fn random_key(&mut self) -> Option<Bytes> {
        for _ in 0..100 {
            let at = self.keys.random(&mut self.rng)?;
            if self.is_due_at(at) {
                self.expire_at_position(at);
                continue;
            }
            return self.keys.key(at).map(Bytes::copy_from_slice);
        }
        None
    }

    /// Visits live keys from a cursor on; see [`Dict::scan`].
    pub(crate) fn scan(
        &self,
        cursor: u64,
        steps: usize,
        mut visit: impl FnMut(&[u8], &Value) -> bool,
    ) -> u64 {
        self.keys.scan(cursor, steps, |_, key, entry| {
            self.is_due(entry) || visit(key, &entry.value)
        })
    }

    /// Live keys with their values and expiries (0: none).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Value, u64)> {
        self.keys
            .iter()
            .filter(|(_, _, entry)| !self.is_due(entry))
            .map(|(_, key, entry)| (key, &entry.value, expire_of(&self.volatile, entry)))
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        self.end_capture();
        if self.effects.is_on() {
            self.effects.cleared(self.now);
        }
        self.watch.cleared(|key| self.keys.find(key).is_some());
        self.blocked.all_changed();
        self.counters.changes += self.keys.len() as u64;
        self.dead.keys.push(std::mem::take(&mut self.keys));
        self.volatile = Vec::new();
        self.field_expiry.clear();
        self.field_due.clear();
        self.touched.clear();
        self.stale.get_mut().clear();
        self.search = Registry::default();
        self.used = 0;
    }

    /// The weight counted for a key.
    pub(crate) fn weight(&self, key: &[u8]) -> Option<usize> {
        self.live(key).map(|(_, entry)| entry.weight())
    }
}

impl Documents for Db {
    fn value(&self, key: &[u8]) -> Option<&Value> {
        Self::value(self, key)
    }

    fn each_key(&self, visit: &mut dyn FnMut(&[u8])) {
        self.iter().for_each(|(key, _, _)| visit(key));
    }
}
