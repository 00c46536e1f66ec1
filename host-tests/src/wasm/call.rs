//! Calls of the guest to services.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::abi::Status;
use super::headers::Headers;

/// A call that a guest has made and that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What host and guest call it by.
    pub(super) token: u32,
    /// The root context that made it, for itself or for one of its streams.
    pub(super) root: u32,
    /// Name of the cluster that is asked.
    pub cluster: String,
    /// What it is asked.
    pub question: Question,
}

/// What a service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// By gRPC: the path (`/SERVICE/METHOD`) and the message.
    Grpc(String, Vec<u8>),
    /// By HTTP: headers with pseudo headers, and body.
    Http(Headers, Vec<u8>),
}

/// The services that a guest can call, and what it has called.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) clusters: BTreeSet<String>,
    pub(super) open: BTreeMap<u32, Call>,
    /// What the guest can read of the answer that it is given just now.
    pub(super) answer: Option<CallAnswer>,
    last_token: u32,
}

/// The answer to a call.
#[derive(Clone, Debug, Default)]
pub(super) struct CallAnswer {
    /// Headers; of an answer by HTTP.
    pub(super) headers: Headers,
    /// Body or message.
    pub(super) body: Vec<u8>,
}

/// `envoy.config.core.v3.GrpcService`, which says where a call by gRPC goes.
#[derive(Clone, PartialEq, Message)]
struct GrpcService {
    #[prost(message, optional, tag = "1")]
    envoy_grpc: Option<EnvoyGrpc>,
}

#[derive(Clone, PartialEq, Message)]
struct EnvoyGrpc {
    #[prost(string, tag = "1")]
    cluster_name: String,
}

/// The cluster that a call by gRPC goes to.
pub(super) fn grpc_cluster(service: &[u8]) -> Result<String, Status> {
    let service = GrpcService::decode(service).map_err(|_| Status::ParseFailure)?;
    let service = service.envoy_grpc.ok_or(Status::ParseFailure)?;
    Ok(service.cluster_name)
}

impl Calls {
    /// Begins a call, and gives it a token. `None`: there is no such cluster.
    pub(super) fn begin(&mut self, root: u32, cluster: String, question: Question) -> Option<u32> {
        if !self.clusters.contains(&cluster) {
            return None;
        }
        self.last_token += 1;
        let call = Call {
            token: self.last_token,
            root,
            cluster,
            question,
        };
        self.open.insert(self.last_token, call);
        Some(self.last_token)
    }
}
