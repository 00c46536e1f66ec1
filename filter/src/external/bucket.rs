//! Token buckets, which all workers share.
//!
//! A bucket is one number in the host's shared data. Workers change it by comparing and swapping; a worker that loses
//! tries again, but not for ever.

use meshgate_engine::Program;
use meshgate_engine::policy::TokenBucket;

use crate::host;

/// How often a worker tries to take a token. Each loss is somebody else's gain, so that this many in a row means that as
/// many tokens were taken in the time of one host call.
const TRIES: usize = 16;

/// Why a token was not taken.
pub(super) enum Failure {
    /// There is none for so many nanoseconds.
    Empty(u64),
    /// The host or the other workers did not let it happen.
    Unavailable,
}

fn key(bucket: &TokenBucket) -> Vec<u8> {
    [b"meshgate.bucket.", bucket.name.as_bytes()].concat()
}

/// Creates the buckets of a program that are not there yet, full. Without a program's being accepted first, two workers
/// could both create one, and forget what the other had taken.
pub(crate) fn create(program: &Program) {
    let limits = program.head().policies.iter();
    let buckets = limits.filter_map(|policies| policies.rate_limit.as_ref()?.local.as_ref());
    for bucket in buckets {
        let key = key(bucket);
        if host::shared_data(&key).is_none() {
            host::set_shared_data(&key, &0_u64.to_le_bytes(), 0);
        }
    }
}

/// Takes a token.
pub(super) fn take(bucket: &TokenBucket) -> Result<(), Failure> {
    let key = key(bucket);
    for _ in 0..TRIES {
        let (value, version) = host::shared_data(&key).ok_or(Failure::Unavailable)?;
        let empty_at = value.try_into().map_or(0, u64::from_le_bytes);
        let after = bucket.take(empty_at, host::now()).map_err(Failure::Empty)?;
        if host::set_shared_data(&key, &after.to_le_bytes(), version) {
            return Ok(());
        }
    }
    Err(Failure::Unavailable)
}
