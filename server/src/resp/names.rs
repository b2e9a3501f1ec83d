//! Commands that the connection itself answers.

/// What a connection does with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Auth,
    Hello,
    Quit,
    Reset,
    Client,
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    Subscribe,
    PSubscribe,
    Unsubscribe,
    PUnsubscribe,
    Monitor,
    /// PING, which is answered otherwise while subscribed.
    Ping,
    /// Of a cluster, a module or a replica: there is none.
    Foreign(&'static str),
    /// For the database.
    Data,
}

/// The longest name below.
const LONGEST: usize = 12;

impl Kind {
    /// The kind of the command with this name, in any case.
    pub(super) fn of(name: &[u8]) -> Self {
        let mut buffer = [0; LONGEST];
        let Some(upper) = buffer.get_mut(..name.len()) else {
            return Self::Data;
        };
        upper.copy_from_slice(name);
        upper.make_ascii_uppercase();
        match &*upper {
            b"AUTH" => Self::Auth,
            b"HELLO" => Self::Hello,
            b"QUIT" => Self::Quit,
            b"RESET" => Self::Reset,
            b"CLIENT" => Self::Client,
            b"MULTI" => Self::Multi,
            b"EXEC" => Self::Exec,
            b"DISCARD" => Self::Discard,
            b"WATCH" => Self::Watch,
            b"UNWATCH" => Self::Unwatch,
            b"SUBSCRIBE" => Self::Subscribe,
            b"PSUBSCRIBE" => Self::PSubscribe,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            b"PUNSUBSCRIBE" => Self::PUnsubscribe,
            b"MONITOR" => Self::Monitor,
            b"PING" => Self::Ping,
            b"SSUBSCRIBE" | b"SUNSUBSCRIBE" | b"CLUSTER" | b"ASKING" | b"READONLY"
            | b"READWRITE" => Self::Foreign("ERR This instance has cluster support disabled"),
            _ => Self::Data,
        }
    }

    /// Whether it may run before AUTH.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Auth | Self::Hello | Self::Quit | Self::Reset)
    }

    /// Whether it may run in RESP2 while channels are subscribed.
    pub(super) const fn is_of_subscriber(self) -> bool {
        matches!(
            self,
            Self::Subscribe
                | Self::PSubscribe
                | Self::Unsubscribe
                | Self::PUnsubscribe
                | Self::Ping
                | Self::Quit
                | Self::Reset
        )
    }

    /// Whether it is answered at once between MULTI and EXEC.
    pub(super) const fn ends_queueing(self) -> bool {
        matches!(
            self,
            Self::Exec | Self::Discard | Self::Multi | Self::Watch | Self::Quit | Self::Reset
        )
    }
}
