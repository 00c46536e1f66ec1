//! Gateways in a mesh: Istio's own control plane, the objects of `meshgate compile --target istio` in it, and real Envoys
//! that get everything from it.
//!
//! The control plane is the Go program in `host-tests/istiod`. Services and pods are told to it as Kubernetes would have
//! them; the pods are echo servers on loopback.

mod authority;
mod control;
mod destinations;
mod federation;
mod istioctl;
mod kubernetes;
mod mesh;
mod proxy;
mod wait;

pub use authority::{Authority, Certificate};
pub use control::Istiod;
pub use federation::{Cluster, Federation, Pod};
pub use istioctl::validate;
pub use mesh::{Mesh, Tools};
pub use proxy::Proxy;
pub use wait::wait_for;
