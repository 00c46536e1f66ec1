//! Resolution, lints and the oracle, from YAML.

mod clusters;
mod config;
mod delegation;
mod destinations;
mod external;
mod gateways;
mod hosts;
mod limits;
mod lints;
mod options;
mod reach;
mod requests;
mod sharing;
mod traffic_policy;
