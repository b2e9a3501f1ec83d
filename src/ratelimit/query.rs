//! What a limiter is asked.

use std::net::IpAddr;

/// One question: who, at which cost, and what else is known of the caller.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Query<'a> {
    pub(super) identifier: &'a str,
    pub(super) group: Option<&'a str>,
    pub(super) organisation: Option<&'a str>,
    pub(super) cost: u64,
    pub(super) most: u64,
    pub(super) ip: Option<IpAddr>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) country: Option<&'a str>,
}

impl<'a> Query<'a> {
    /// A question of cost 1.
    pub fn new(identifier: &'a str) -> Self {
        Self {
            identifier,
            group: None,
            organisation: None,
            cost: 1,
            most: 1,
            ip: None,
            user_agent: None,
            country: None,
        }
    }
    /// Whom the identifier belongs to, for limits [per group](super::Limit::per_group).
    pub fn group(mut self, group: &'a str) -> Self {
        self.group = Some(group);
        self
    }
    /// Whose identifier it is: the same one in two organisations is two, and the organisation is its group.
    pub fn organisation(mut self, organisation: &'a str) -> Self {
        self.organisation = Some(organisation);
        self
    }
    /// Takes more than one.
    pub fn cost(mut self, cost: u64) -> Self {
        (self.cost, self.most) = (cost, cost);
        self
    }
    /// Takes as much as there is, this at most and 1 at least; [`Decision::taken`] tells how much.
    ///
    /// [`Decision::taken`]: super::Decision::taken
    pub fn up_to(mut self, most: u64) -> Self {
        (self.cost, self.most) = (most.min(1), most);
        self
    }
    /// The client's address, for lists; entries may be networks such as `203.0.113.0/24`.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }
    /// The client's user agent, for lists.
    pub fn user_agent(mut self, user_agent: &'a str) -> Self {
        self.user_agent = Some(user_agent);
        self
    }
    /// The client's country code, for lists and analytics.
    pub fn country(mut self, country: &'a str) -> Self {
        self.country = Some(country);
        self
    }
}

impl<'a> From<&'a str> for Query<'a> {
    fn from(identifier: &'a str) -> Self {
        Self::new(identifier)
    }
}

impl<'a> From<&'a String> for Query<'a> {
    fn from(identifier: &'a String) -> Self {
        Self::new(identifier)
    }
}
