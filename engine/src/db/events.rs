//! Keyspace notifications.

use bytes::Bytes;

use super::Db;

/// Classes of keyspace notifications.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event(pub(crate) u32);

impl Event {
    pub(crate) const KEYSPACE: Self = Self(1); // K
    pub(crate) const KEYEVENT: Self = Self(2); // E
    pub(crate) const GENERIC: Self = Self(4); // g
    pub(crate) const STRING: Self = Self(8); // $
    pub(crate) const LIST: Self = Self(16); // l
    pub(crate) const SET: Self = Self(32); // s
    pub(crate) const HASH: Self = Self(64); // h
    pub(crate) const ZSET: Self = Self(128); // z
    pub(crate) const EXPIRED: Self = Self(256); // x
    pub(crate) const EVICTED: Self = Self(512); // e
    pub(crate) const STREAM: Self = Self(1024); // t
    pub(crate) const KEY_MISS: Self = Self(2048); // m
    pub(crate) const MODULE: Self = Self(8192); // d
    pub(crate) const NEW: Self = Self(16384); // n
}

impl Db {
    /// Which notifications are sent.
    pub(crate) const fn notify_flags(&self) -> u32 {
        self.notify
    }

    pub(crate) fn set_notify_flags(&mut self, flags: u32) {
        self.notify = flags;
    }

    /// Tells subscribers of keyspace notifications.
    pub(crate) fn notify(&self, class: Event, event: &'static str, key: &[u8]) {
        if self.notify & class.0 == 0 || !self.hub.has_subscriptions() {
            return;
        }
        let event = Bytes::from_static(event.as_bytes());
        let key = Bytes::copy_from_slice(key);
        if self.notify & Event::KEYSPACE.0 != 0 {
            let channel = Bytes::from([b"__keyspace@0__:", &key[..]].concat());
            // Who changed the key is not told that its patterns took too long.
            let _ = self.hub.publish(&channel, &event, &self.notices);
        }
        if self.notify & Event::KEYEVENT.0 != 0 {
            let channel = Bytes::from([b"__keyevent@0__:", &event[..]].concat());
            let _ = self.hub.publish(&channel, &key, &self.notices);
        }
    }
}
