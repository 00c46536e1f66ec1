//! Decoding: checked document trees to [resources](crate::resource), with the checks that concern one value or one
//! object.
//!
//! The schema has been checked before: a value of a wrong type is marked faulty and reads as absent here. Decoding
//! goes on regardless, so that every mistake of an object is reported, and whatever holds a fault is left out.

pub(super) mod auth_config;
pub(super) mod cluster;
mod extauth;
pub(super) mod gateway;
pub(super) mod inventory;
mod listener;
mod matcher;
mod options;
pub(super) mod rate_limit;
pub(super) mod route;
mod selector;
mod tcp;
mod template;
pub(super) mod traffic_policy;
mod value;
pub(super) mod virtual_host;

use crate::load::node::Node;

/// Decodes all nodes, so that all mistakes are reported, and returns nothing if one of them failed.
fn every<'n, 's: 'n, T>(
    nodes: impl IntoIterator<Item = &'n Node<'s>>,
    decode: impl FnMut(&'n Node<'s>) -> Option<T>,
) -> Option<Vec<T>> {
    let decoded: Vec<Option<T>> = nodes.into_iter().map(decode).collect();
    decoded.into_iter().collect()
}

/// The same for nodes that are changed by it.
fn every_mut<'s, T>(
    nodes: &mut [Node<'s>],
    decode: impl FnMut(&mut Node<'s>) -> Option<T>,
) -> Option<Vec<T>> {
    let decoded: Vec<Option<T>> = nodes.iter_mut().map(decode).collect();
    decoded.into_iter().collect()
}
