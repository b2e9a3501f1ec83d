//! The input of a decision.

use std::net::IpAddr;

/// Asks for a decision: the identifier, the cost, and what else is known of the caller.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct RateLimitRequest<'a> {
    pub(super) identifier: &'a str,
    pub(super) group: Option<&'a str>,
    pub(super) organisation: Option<&'a str>,
    pub(super) cost: u64,
    pub(super) most: u64,
    pub(super) ip: Option<IpAddr>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) country: Option<&'a str>,
}

impl<'a> RateLimitRequest<'a> {
    /// A request of cost 1.
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
    /// Sets the group that the identifier belongs to, for limits [per group](super::Limit::per_group).
    pub fn group(mut self, group: &'a str) -> Self {
        self.group = Some(group);
        self
    }
    /// Sets the organisation that the identifier belongs to.
    ///
    /// The same identifier in two organisations counts as two. The organisation is also its group.
    pub fn organisation(mut self, organisation: &'a str) -> Self {
        self.organisation = Some(organisation);
        self
    }
    /// Sets the cost, 1 by default.
    pub fn cost(mut self, cost: u64) -> Self {
        (self.cost, self.most) = (cost, cost);
        self
    }
    /// Takes as much as there is, between 1 and `most`; [`Decision::taken`] returns how much.
    ///
    /// [`Decision::taken`]: super::Decision::taken
    pub fn up_to(mut self, most: u64) -> Self {
        (self.cost, self.most) = (most.min(1), most);
        self
    }
    /// Sets the client's address, for lists; entries may be networks such as `203.0.113.0/24`.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }
    /// Sets the client's user agent, for lists.
    pub fn user_agent(mut self, user_agent: &'a str) -> Self {
        self.user_agent = Some(user_agent);
        self
    }
    /// Sets the client's country code, for lists and analytics.
    pub fn country(mut self, country: &'a str) -> Self {
        self.country = Some(country);
        self
    }
}

impl<'a> From<&'a str> for RateLimitRequest<'a> {
    fn from(identifier: &'a str) -> Self {
        Self::new(identifier)
    }
}

impl<'a> From<&'a String> for RateLimitRequest<'a> {
    fn from(identifier: &'a String) -> Self {
        Self::new(identifier)
    }
}
