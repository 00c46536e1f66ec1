//! `meshgate package`: the filter and a program in one module, as an image for Istio.

mod registry;

use std::fs;
use std::path::{Path, PathBuf};

use meshgate_compiler::package::{Image, add_program};
use meshgate_engine::Program;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::output::{self, Failure};
use crate::serving::find_filter;
use registry::Reference;

/// Put a program into the filter's module and make an image of it, for programs too large for a WasmPlugin
///
/// The image has one layer with `plugin.wasm`, as Istio reads it. Such a module needs no plugin configuration. The
/// credentials for the registry are those of `docker login`; a registry on this machine is spoken to without TLS.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  meshgate compile config/ --target program --output-dir programs/
  meshgate package programs/east/istio-ingress.gateway.bin -o image/
  meshgate package programs/east/istio-ingress.gateway.bin --push registry.example.com/gateways/east:7")]
pub(crate) struct Args {
    /// The program, as `compile --target program` writes it
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,

    /// The filter's .wasm file [default: $MESHGATE_FILTER, target/meshgate_filter.wasm, or beside this program]
    #[arg(long, value_name = "FILE")]
    filter: Option<PathBuf>,

    /// Write the image as a folder, in the OCI image layout
    #[arg(short, long, value_name = "FOLDER", required_unless_present_any = ["push", "module"])]
    output: Option<PathBuf>,

    /// Write the module alone, for gateways that load it from a file or over HTTP
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,

    /// Send the image to a registry
    #[arg(long, value_name = "REGISTRY/REPOSITORY:TAG")]
    push: Option<Reference>,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let program = read(&args.program)?;
    let filter = find_filter(args.filter.as_deref())?;
    let name = args.program.display();
    let generation = Program::new(program.clone())
        .map_err(|error| Failure::failed(format!("`{name}`: {error}")))?
        .generation()
        .to_owned();
    let sha256: String = Sha256::digest(&program)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let module = add_program(&read(&filter)?, &program)
        .map_err(|error| Failure::failed(format!("`{}`: {error}", filter.display())))?;
    let image = Image::new(&module, &generation)
        .map_err(|error| Failure::failed(format!("cannot make the image: {error}")))?;
    if let Some(path) = &args.module {
        output::write(path, &module)?;
    }
    if let Some(folder) = &args.output {
        let tag = args.push.as_ref().map(|reference| reference.tag.as_str());
        image.write(folder, tag).map_err(|error| {
            Failure::failed(format!("cannot write `{}`: {error}", folder.display()))
        })?;
    }
    let mut result = json!({
        "generation": generation,
        "programSha256": sha256,
        "manifestSha256": image.manifest.digest.trim_start_matches("sha256:"),
        "moduleBytes": module.len(),
        "layerBytes": image.layer.bytes.len(),
    });
    if let Some(reference) = &args.push {
        registry::push(&image, reference).map_err(Failure::failed)?;
        result["image"] = json!(format!("oci://{reference}@{}", image.manifest.digest));
    }
    output::print(&format!("{result:#}\n"))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read `{}`: {error}", path.display())))
}
