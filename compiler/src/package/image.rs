//! An image with a module, in the form that Istio reads: one layer, a compressed archive with `plugin.wasm` in it.
//!
//! The same module always gives the same bytes, and so the same digest.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Name of the module in the layer, by which Istio looks for it.
const PLUGIN: &str = "plugin.wasm";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Bytes that are known by their digest.
#[derive(Clone, Debug)]
pub struct Blob {
    /// `sha256:` and the digest in hexadecimal.
    pub digest: String,
    /// What it is.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An image with one layer.
#[derive(Clone, Debug)]
pub struct Image {
    /// Names the other two. Its digest is the image's.
    pub manifest: Blob,
    /// What runtimes of containers want to know.
    pub config: Blob,
    /// The module.
    pub layer: Blob,
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Blob {
        Blob {
            digest: digest(&bytes),
            media_type,
            bytes,
        }
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digits}")
}

impl Image {
    /// Makes an image of a module. `generation` is the name of the program's version, for people who look at the image.
    pub fn new(module: &[u8], generation: &str) -> io::Result<Image> {
        let archive = archive(module)?;
        // No file name and no time: the bytes depend on the module alone.
        let mut layer: GzEncoder<Vec<u8>> = GzBuilder::new().write(Vec::new(), Compression::best());
        layer.write_all(&archive)?;
        let layer = Blob::new(LAYER, layer.finish()?);
        let config = json!({
            "architecture": "wasm",
            "os": "wasip1",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [digest(&archive)] },
        });
        let config = Blob::new(CONFIG, config.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
            "annotations": {
                "org.opencontainers.image.title": "meshgate filter with a routing program",
                "org.opencontainers.image.version": generation,
            },
        });
        Ok(Image {
            manifest: Blob::new(MANIFEST, manifest.to_string().into_bytes()),
            config,
            layer,
        })
    }

    /// Writes the image as a folder in the OCI image layout, which tools for images read. `tag` is the name it has there.
    pub fn write(&self, folder: &Path, tag: Option<&str>) -> io::Result<()> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for blob in [&self.layer, &self.config, &self.manifest] {
            let name = blob.digest.trim_start_matches("sha256:");
            fs::write(blobs.join(name), &blob.bytes)?;
        }
        let mut descriptor = self.manifest.descriptor();
        if let Some(tag) = tag {
            descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor] });
        fs::write(folder.join("index.json"), index.to_string())?;
        let layout = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(folder.join("oci-layout"), layout.to_string())
    }
}

fn archive(module: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PLUGIN, module)?;
    archive.into_inner()
}
