//! What decisions need to know besides the request.

/// The place where a request is decided. Every question may cost something, so only policies that need the answer ask.
pub trait Surroundings {
    /// A number of at least 0 and less than 1, for choices and percentages.
    fn random(&self) -> f64;

    /// Notes that a policy would have refused the request if it were enforced.
    fn would_refuse(&self) {}
}
