//! Whose sessions: a user of an organisation, or of none.

use super::new_session::check_id;
use crate::Result;

/// A user of an organisation, or of none.
///
/// The same id in two organisations is two users: they share no list, cap, epoch or device.
/// A `&str` is a user of no organisation.
///
/// ```
/// use restis::session::User;
///
/// assert_ne!(User::new("u1").organisation("acme"), User::from("u1"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User<'a> {
    id: &'a str,
    organisation: Option<&'a str>,
}

impl<'a> User<'a> {
    /// A user of no organisation.
    pub fn new(id: &'a str) -> Self {
        Self {
            id,
            organisation: None,
        }
    }

    /// The user of this id in an organisation, or in none.
    #[must_use]
    pub fn organisation(mut self, organisation: impl Into<Option<&'a str>>) -> Self {
        self.organisation = organisation.into();
        self
    }

    /// The id.
    pub fn id(self) -> &'a str {
        self.id
    }

    /// The organisation.
    pub fn organisation_id(self) -> Option<&'a str> {
        self.organisation
    }

    /// Refuses ids out of bounds.
    pub(crate) fn check(self) -> Result<()> {
        check_id(self.id)?;
        self.organisation.map_or(Ok(()), check_id)
    }

    pub(crate) fn to_owned(self) -> OwnedUser {
        OwnedUser {
            id: self.id.to_owned(),
            organisation: self.organisation.map(str::to_owned),
        }
    }
}

impl<'a> From<&'a str> for User<'a> {
    fn from(id: &'a str) -> Self {
        Self::new(id)
    }
}

impl<'a> From<&'a String> for User<'a> {
    fn from(id: &'a String) -> Self {
        Self::new(id)
    }
}

/// A user as a stored session names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedUser {
    id: String,
    organisation: Option<String>,
}

impl OwnedUser {
    /// Reads a user as scripts write it: an empty id is no user, an empty organisation none.
    pub(crate) fn from_fields(id: Option<String>, organisation: Option<String>) -> Option<Self> {
        let id = id.filter(|id| !id.is_empty())?;
        let organisation = organisation.filter(|o| !o.is_empty());
        Some(Self { id, organisation })
    }

    /// The users of a flat list of ids and organisations.
    pub(crate) fn from_pairs(pairs: &[String]) -> impl Iterator<Item = Self> {
        pairs.chunks_exact(2).filter_map(|pair| match pair {
            [id, organisation] => Self::from_fields(Some(id.clone()), Some(organisation.clone())),
            _ => None,
        })
    }

    pub(crate) fn borrow(&self) -> User<'_> {
        User::new(&self.id).organisation(self.organisation.as_deref())
    }
}
