//! What decisions need to know besides the request.

use std::net::IpAddr;

/// The place where a request is decided. Every question may cost something, so only policies that need the answer ask.
pub trait Surroundings {
    /// A number of at least 0 and less than 1, for choices and percentages.
    fn random(&self) -> f64;

    /// The address of who connects to the gateway, if it is an IP address.
    fn source(&self) -> Option<IpAddr>;

    /// The server name that the client asked for in the TLS handshake.
    fn server_name(&self) -> Option<Vec<u8>>;

    /// URI and DNS names of the client's certificate.
    fn identities(&self) -> Vec<Vec<u8>>;

    /// The time in seconds of the Unix epoch.
    fn time(&self) -> u64;
    /// Notes that a policy would have refused the request if it were enforced.
    fn would_refuse(&self) {}
}
