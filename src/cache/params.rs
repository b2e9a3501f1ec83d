//! Parameters of keys: tuples, and structs by [`key_params!`](crate::key_params).

use std::fmt::{Display, Write as _};

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::identity::join;

/// Longer parameters are named by their digest.
const MAX_PART_BYTES: usize = 200;

/// The parameters that a keyspace has.
pub trait KeyShape {
    /// How many there are.
    const COUNT: usize;
    /// Their names in order, for a struct; empty for a tuple, where the order alone tells.
    const NAMES: &'static [&'static str] = &[];
}

/// Values for the parameters `P`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fit the key parameters `{P}`",
    note = "a tuple fits part by part; `&str` fits `String`, and a reference fits its type"
)]
pub trait FitsKey<P> {
    /// Calls with each value in order.
    fn each(&self, part: &mut dyn FnMut(&dyn Display));
}

/// A value for one parameter of the type `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not fit a key parameter of the type `{T}`",
    note = "a key parameter has `Display`"
)]
pub trait KeyPart<T> {
    /// What is written.
    fn display(&self) -> &dyn Display;
}

impl<T: Display> KeyPart<T> for T {
    fn display(&self) -> &dyn Display {
        self
    }
}

impl<T: Display> KeyPart<T> for &T {
    fn display(&self) -> &dyn Display {
        self
    }
}

impl KeyPart<String> for &str {
    fn display(&self) -> &dyn Display {
        self
    }
}

macro_rules! tuples {
    ($($count:literal: $($of:ident $value:ident $place:tt),+;)+) => {$(
        impl<$($of),+> KeyShape for ($($of,)+) {
            const COUNT: usize = $count;
        }
        impl<$($of, $value: KeyPart<$of>),+> FitsKey<($($of,)+)> for ($($value,)+) {
            fn each(&self, part: &mut dyn FnMut(&dyn Display)) {
                $(part(self.$place.display());)+
            }
        }
    )+};
}
tuples! {
    1: A T 0;
    2: A T 0, B U 1;
    3: A T 0, B U 1, C V 2;
    4: A T 0, B U 1, C V 2, D W 3;
    5: A T 0, B U 1, C V 2, D W 3, E X 4;
    6: A T 0, B U 1, C V 2, D W 3, E X 4, F Y 5;
}

/// Makes a struct the parameters of a keyspace, its fields the names of the pattern in order.
///
/// ```
/// use restis::{cache::Keyspace, key_params};
///
/// struct Balance {
///     organisation: String,
///     account: u64,
/// }
/// key_params!(Balance { organisation, account });
///
/// const BALANCES: Keyspace<Balance, i64> = Keyspace::new("balances:{organisation}:{account}");
/// let key = BALANCES.key(&Balance { organisation: "acme".into(), account: 7 });
/// assert_eq!(key.name(), "balances:{acme}:7");
/// ```
#[macro_export]
macro_rules! key_params {
    ($of:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::cache::KeyShape for $of {
            const COUNT: usize = [$(stringify!($field)),+].len();
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];
        }
        impl $crate::cache::FitsKey<$of> for &$of {
            fn each(&self, part: &mut dyn FnMut(&dyn ::std::fmt::Display)) {
                let $of { $($field),+ } = self;
                $(part($field);)+
            }
        }
    };
}

/// The texts of parameters, escaped: none contains a colon, a brace or `#`, except that a digest
/// begins with `#sha256.`; literal parts of patterns have no dot.
#[derive(Debug)]
pub(super) struct Parts {
    text: String,
    ends: SmallVec<[usize; 8]>,
}

impl Parts {
    pub(super) fn new<P>(values: &impl FitsKey<P>) -> Self {
        let mut parts = Self {
            text: String::new(),
            ends: SmallVec::new(),
        };
        let mut plain = String::new();
        values.each(&mut |value| {
            plain.clear();
            // Writing to a `String` does not fail, and a `Display` that does writes less.
            let _ = write!(plain, "{value}");
            parts.push(&plain);
        });
        parts
    }

    fn push(&mut self, plain: &str) {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if plain.len() > MAX_PART_BYTES {
            self.text.push_str("#sha256.");
            self.text.push_str(&hex::encode(Sha256::digest(plain)));
        } else if !plain.is_empty() && plain.bytes().all(is_plain) {
            self.text.push_str(plain);
        } else {
            self.text.push_str(&join([plain]));
        }
        self.ends.push(self.text.len());
    }

    pub(super) fn get(&self, place: usize) -> &str {
        let start = place
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let end = self.ends.get(place).copied().unwrap_or_default();
        let start = start.copied().unwrap_or_default();
        self.text.get(start..end).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + 2
    }
}
