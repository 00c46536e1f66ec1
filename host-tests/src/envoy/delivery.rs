//! How a program reaches a running Envoy: in a file that is moved to where Envoy looks for it.

use std::fs;
use std::io;
use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tempfile::TempDir;

const WASM_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/// What a program is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The configuration of the filter (ECDS). Connections stay, and their next request meets the new program.
    Filter,
    /// The listener (LDS). Connections keep the program that they began with.
    Listener,
}

/// A plugin configuration, and the type in which it is sent.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// Text, for the channels that carry nothing else.
    Text(String),
}

/// The file that Envoy watches.
#[derive(Debug)]
pub struct WatchedFile {
    delivery: Delivery,
    directory: TempDir,
    /// The listener as it is in a bootstrap.
    listener: Value,
    version: u64,
}

impl WatchedFile {
    /// Takes the listener out of a bootstrap, and puts a reference to the file into it. The file is yet to be written.
    ///
    /// # Errors
    /// When there is no directory to be had for the file.
    pub fn take_listener(delivery: Delivery, bootstrap: &mut Value) -> io::Result<WatchedFile> {
        let mut listener = bootstrap["static_resources"]["listeners"][0].take();
        // Any free port, because tests run side by side.
        listener["address"]["socket_address"]["port_value"] = json!(0);
        let file = WatchedFile {
            delivery,
            directory: TempDir::new()?,
            listener,
            version: 0,
        };
        let source = json!({
            "path_config_source": { "path": file.path() },
            "resource_api_version": "V3",
        });
        match delivery {
            Delivery::Filter => {
                let mut listener = file.listener.clone();
                *filter(&mut listener) = json!({
                    "name": "meshgate",
                    "config_discovery": { "config_source": source, "type_urls": [WASM_TYPE] },
                });
                bootstrap["static_resources"]["listeners"] = json!([listener]);
            }
            Delivery::Listener => {
                bootstrap["static_resources"]["listeners"] = json!([]);
                bootstrap["dynamic_resources"] = json!({ "lds_config": source });
            }
        }
        Ok(file)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("discovery.json")
    }

    /// Replaces the file as a whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, payload: &Payload) -> io::Result<()> {
        self.version += 1;
        let mut listener = self.listener.clone();
        filter(&mut listener)["typed_config"]["config"]["configuration"] = payload.to_json();
        let (type_name, mut resource) = match self.delivery {
            Delivery::Listener => ("listener.v3.Listener", listener),
            Delivery::Filter => ("core.v3.TypedExtensionConfig", filter(&mut listener).take()),
        };
        resource["@type"] = json!(format!("type.googleapis.com/envoy.config.{type_name}"));
        let response = json!({ "version_info": self.version.to_string(), "resources": [resource] });
        let new = self.directory.path().join("new");
        fs::write(&new, response.to_string())?;
        fs::rename(new, self.path())
    }
}

impl Payload {
    fn to_json(&self) -> Value {
        let (type_name, value) = match self {
            Payload::Bytes(bytes) => ("BytesValue", BASE64_STANDARD.encode(bytes)),
            Payload::Text(text) => ("StringValue", text.clone()),
        };
        json!({ "@type": format!("type.googleapis.com/google.protobuf.{type_name}"), "value": value })
    }
}

/// The HTTP connection manager of a listener.
pub fn manager(listener: &mut Value) -> &mut Value {
    &mut listener["filter_chains"][0]["filters"][0]["typed_config"]
}

fn filter(listener: &mut Value) -> &mut Value {
    &mut manager(listener)["http_filters"][0]
}
