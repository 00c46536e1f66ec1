//! What the host knows about the connection of a request. Each question is a host call or two.

use std::net::{IpAddr, SocketAddr};

use crate::host;

/// The address of who connects to the gateway.
pub(crate) fn source() -> Option<IpAddr> {
    let address = host::property(b"source\0address")?;
    let address: SocketAddr = str::from_utf8(&address).ok()?.parse().ok()?;
    Some(address.ip())
}

/// The server name of the TLS handshake; without one the host says that it is empty.
pub(crate) fn server_name() -> Option<Vec<u8>> {
    host::property(b"connection\0requested_server_name").filter(|name| !name.is_empty())
}

/// The first URI and the first DNS name of the client's certificate: the host tells no more.
pub(crate) fn identities() -> Vec<Vec<u8>> {
    let names = [
        b"connection\0uri_san_peer_certificate",
        b"connection\0dns_san_peer_certificate",
    ];
    let names = names.into_iter().filter_map(|name| host::property(name));
    names.filter(|name| !name.is_empty()).collect()
}
