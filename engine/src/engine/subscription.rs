//! Who hears messages, and who sees every command.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Engine, State, list};
use crate::acl::Caller;
use crate::ctx::{self, Side};
use crate::error::{Error, OOM};
use crate::hub::{Hub, Sink};

/// A subscription or monitor feed; dropping it ends it.
pub struct Subscription {
    hub: Arc<Hub>,
    id: u64,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

impl Engine {
    /// Delivers messages of these channels and patterns to `sink` until the subscription drops.
    ///
    /// The sink first gets one confirmation a channel and pattern, in this order.
    pub fn subscribe<A: AsRef<[u8]>>(
        &self,
        channels: &[A],
        patterns: &[A],
        sink: Arc<dyn Sink>,
    ) -> Subscription {
        let hub = Arc::clone(&self.shared.hub);
        let id = hub.join(None, &copied(channels), &copied(patterns), &sink);
        Subscription { hub, id }
    }

    /// The same for a user, as long as it may listen to all of them.
    ///
    /// [`Sink::end`] tells that the user was removed, is off, lost a token or a right.
    pub fn subscribe_as<A: AsRef<[u8]>>(
        &self,
        caller: &Caller,
        channels: &[A],
        patterns: &[A],
        sink: Arc<dyn Sink>,
    ) -> Result<Subscription, Error> {
        // Locked until it is known to the hub: no change of the user comes between.
        let mut state = self.lock();
        self.may_listen(&mut state, caller, channels, patterns)?;
        let hub = Arc::clone(&self.shared.hub);
        let owner = caller.is_user().then(|| caller.name());
        let id = hub.join(owner, &copied(channels), &copied(patterns), &sink);
        Ok(Subscription { hub, id })
    }

    /// Delivers a line for every command to `sink` until the subscription drops.
    pub fn monitor(&self, sink: Arc<dyn Sink>) -> Subscription {
        let hub = Arc::clone(&self.shared.hub);
        let id = hub.join_monitor(sink);
        Subscription { hub, id }
    }

    /// Shows a command that is answered elsewhere to those who watch all commands.
    pub fn tell_monitors<A: AsRef<[u8]>>(&self, args: &[A]) {
        if self.shared.hub.has_monitors() {
            let args = list(args);
            let line = || ctx::monitor_line(&self.shared.clock, false, &args);
            self.shared.hub.feed_monitors(&args, line);
        }
    }

    /// Whether the caller may subscribe to these channels and patterns, and memory allows it.
    pub fn check_channels<A: AsRef<[u8]>>(
        &self,
        caller: &Caller,
        channels: &[A],
        patterns: &[A],
    ) -> Result<(), Error> {
        self.may_listen(&mut self.lock(), caller, channels, patterns)
    }

    fn may_listen<A: AsRef<[u8]>>(
        &self,
        state: &mut State,
        caller: &Caller,
        channels: &[A],
        patterns: &[A],
    ) -> Result<(), Error> {
        if let Some(reason) = &state.side.damaged {
            return Err(reason.clone());
        }
        self.open(&mut state.side, &self.limits);
        state.side.budget.begin()?;
        let Side { acl, budget, .. } = &state.side;
        acl.check_channels(budget, caller, channels, patterns)?;
        budget.check()?;
        let more = Hub::cost(channels) + Hub::cost(patterns);
        if state.ctx(caller).fits(more) {
            Ok(())
        } else {
            Err(OOM)
        }
    }
}

fn copied<A: AsRef<[u8]>>(names: &[A]) -> Vec<Bytes> {
    let copy = |name: &A| Bytes::copy_from_slice(name.as_ref());
    names.iter().map(copy).collect()
}
