//! `meshgate compile --target istio`: a folder of Istio objects per cluster.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use meshgate_compiler::compile::WorkloadProgram;
use meshgate_compiler::manifest::istio::{
    self, Attach, FailStrategy, IstioOptions, Manifest, Module, Wave,
};
use meshgate_compiler::manifest::settings::FilterSettings;
use meshgate_compiler::status::to_yaml;

use crate::output::{self, Failure};
use crate::serving::{BuildArgs, Programs};

/// Name of the folder of a cluster whose name is not known.
const UNNAMED: &str = "cluster";

const NO_MODULE: &str = "say where gateways find the filter: `--module file:///PATH` in their pods, or `--module oci://IMAGE --module-sha256 DIGEST`";

/// How gateways in a mesh run the filter.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Istio")]
pub(crate) struct IstioArgs {
    /// Where gateways find the filter, such as file:///opt/meshgate/filter-1.0.wasm or oci://registry/meshgate:1.0
    #[arg(long, value_name = "URL")]
    module: Option<String>,

    /// SHA-256 digest of the module, or of the image's manifest; needed unless the module is a file
    #[arg(long, value_name = "DIGEST", requires = "module")]
    module_sha256: Option<String>,

    /// The image of a gateway whose program `meshgate package` put into it, instead of --module
    ///
    /// The gateway is named like its program's file: east/istio-ingress.gateway=oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST
    #[arg(long, value_name = "CLUSTER/NAMESPACE.SERVICE=IMAGE")]
    packaged: Vec<Packaged>,

    /// Secret in the gateway's namespace with the credentials for the registry
    #[arg(long, value_name = "NAME")]
    pull_secret: Option<String>,

    /// Write FAIL_CLOSE instead of FAIL_RELOAD, for Istio before 1.27
    #[arg(long)]
    fail_close: bool,

    /// How the filter's choice of a destination takes effect
    #[arg(long, value_enum, default_value_t = Way::Exclusive)]
    attach: Way,

    /// Name of this configuration, with which its objects are labelled
    #[arg(long, value_name = "NAME", default_value = "meshgate")]
    owner: String,

    /// How objects are written; `kustomize` is YAML with a kustomization per wave
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,

    /// One file per cluster instead of one per object
    #[arg(long)]
    one_file: bool,
}

/// An image with a program in it, and the gateway it is for.
#[derive(Clone, Debug)]
struct Packaged {
    place: String,
    url: String,
    sha256: String,
}

impl FromStr for Packaged {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (place, image) = text.split_once('=')?;
            let (url, sha256) = image.split_once("@sha256:")?;
            Some(Self {
                place: place.to_owned(),
                url: url.to_owned(),
                sha256: sha256.to_owned(),
            })
        };
        parts().ok_or_else(|| {
            "expected CLUSTER/NAMESPACE.SERVICE=oci://REGISTRY/REPOSITORY:TAG@sha256:DIGEST, the image as `meshgate package --push` prints it".to_owned()
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// The ports are meshgate's; an EnvoyFilter makes one route for all destinations
    Exclusive,
    /// The ports have VirtualServices of others, and keep them for requests that no route is for
    Beside,
    /// Without EnvoyFilter: a VirtualService has a route for every destination
    Stable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Yaml,
    Json,
    Kustomize,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Yaml | Format::Kustomize => "yaml",
        }
    }

    fn one(self, manifest: &Manifest) -> String {
        match self {
            Format::Json => format!("{:#}\n", manifest.object),
            Format::Yaml | Format::Kustomize => to_yaml(&manifest.object),
        }
    }

    fn all(self, manifests: &[&Manifest]) -> String {
        let documents: Vec<String> = manifests.iter().map(|one| self.one(one)).collect();
        match self {
            Format::Yaml | Format::Kustomize => documents.join("---\n"),
            Format::Json => {
                let items: Vec<_> = manifests.iter().map(|one| &one.object).collect();
                let list =
                    serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": items });
                format!("{list:#}\n")
            }
        }
    }
}

impl IstioArgs {
    /// Whether any argument is given that is of no use without a mesh.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let given = [
            (self.module.is_some(), "--module"),
            (self.module_sha256.is_some(), "--module-sha256"),
            (!self.packaged.is_empty(), "--packaged"),
            (self.pull_secret.is_some(), "--pull-secret"),
            (self.fail_close, "--fail-close"),
            (self.attach != Way::Exclusive, "--attach"),
            (self.one_file, "--one-file"),
            (self.format != Format::Yaml, "--format"),
        ];
        given
            .into_iter()
            .find_map(|(is_given, name)| is_given.then_some(name))
    }

    fn options(&self, settings: FilterSettings) -> Result<IstioOptions, Failure> {
        let mut packaged = BTreeMap::new();
        for one in &self.packaged {
            let module = Module {
                url: one.url.clone(),
                sha256: Some(one.sha256.clone()),
                pull_secret: self.pull_secret.clone(),
            };
            packaged.insert(one.place.clone(), module);
        }
        let module = match (&self.module, packaged.values().next()) {
            (Some(url), _) => Module {
                url: url.clone(),
                sha256: self.module_sha256.clone(),
                pull_secret: (self.pull_secret.clone())
                    .filter(|_| packaged.is_empty() || url.starts_with("oci://")),
            },
            // No gateway needs another one, or it is an error later.
            (None, Some(module)) => module.clone(),
            (None, None) => return Err(Failure::usage(NO_MODULE)),
        };
        if let Some(fault) = packaged.values().chain([&module]).find_map(Module::fault) {
            return Err(Failure::usage(fault));
        }
        let is_label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if self.owner.len() > 63
            || !self.owner.chars().all(is_label)
            || !edge(self.owner.chars().next())
            || !edge(self.owner.chars().last())
        {
            return Err(Failure::usage(format!(
                "`{}` cannot be a label: write up to 63 letters, digits, `-`, `_` and `.` as `--owner`",
                self.owner
            )));
        }
        Ok(IstioOptions {
            module,
            packaged,
            fail_strategy: match self.fail_close {
                true => FailStrategy::Close,
                false => FailStrategy::Reload,
            },
            owner: self.owner.clone(),
            settings,
            attach: match self.attach {
                Way::Exclusive => Attach::Exclusive,
                Way::Beside => Attach::Beside,
                Way::Stable => Attach::Stable,
            },
        })
    }

    /// Compiles. Findings go to standard error.
    pub(crate) fn manifests(
        &self,
        build: &BuildArgs,
        settings: FilterSettings,
    ) -> Result<Vec<Manifest>, Failure> {
        let options = self.options(settings)?;
        let Programs {
            sources,
            resources,
            programs,
        } = build.programs()?;
        if programs.is_empty() {
            return Err(Failure::failed(
                "there is nothing to write: the input has no usable VirtualGateway",
            ));
        }
        for place in options.packaged.keys() {
            if !programs.iter().any(|program| program.place() == *place) {
                let known: Vec<String> = programs.iter().map(WorkloadProgram::place).collect();
                return Err(Failure::usage(format!(
                    "a module is packaged for `{place}`, which is no gateway; there is `{}`",
                    known.join("`, `")
                )));
            }
        }
        let is_packaged =
            |program: &WorkloadProgram| options.packaged.contains_key(&program.place());
        if self.module.is_none() && !programs.iter().all(is_packaged) {
            return Err(Failure::usage(NO_MODULE));
        }
        let manifests = istio::manifests(&programs, &resources, &options);
        for size in &manifests.sizes {
            output::tell(&format!("{size}\n"));
        }
        output::tell_findings(&manifests.diagnostics, &sources);
        if manifests.diagnostics.has_errors() {
            return Err(Failure::findings());
        }
        Ok(manifests.list)
    }

    /// Writes everything below a folder.
    pub(crate) fn write(&self, manifests: &[Manifest], folder: &Path) -> Result<(), Failure> {
        for cluster in manifests.chunk_by(|a, b| a.cluster == b.cluster) {
            let Some(first) = cluster.first() else {
                continue;
            };
            let name = first.cluster.as_deref().unwrap_or(UNNAMED);
            let place = folder.join(output::file_name(name)?);
            if self.one_file {
                make(folder)?;
                let all: Vec<&Manifest> = cluster.iter().collect();
                let mut path = place.into_os_string();
                path.push(format!(".{}", self.format.extension()));
                output::write(&PathBuf::from(path), self.format.all(&all).as_bytes())?;
                continue;
            }
            for wave in Wave::ALL {
                let place = place.join(wave.folder());
                empty(&place)?;
                let objects: Vec<&Manifest> =
                    cluster.iter().filter(|one| one.wave == wave).collect();
                if !objects.is_empty() {
                    self.write_wave(&objects, &place)?;
                }
            }
        }
        Ok(())
    }

    fn write_wave(&self, objects: &[&Manifest], place: &Path) -> Result<(), Failure> {
        make(place)?;
        let mut names = Vec::new();
        for object in objects {
            let name = format!("{}.{}", object.file_stem(), self.format.extension());
            let path = place.join(output::file_name(&name)?);
            output::write(&path, self.format.one(object).as_bytes())?;
            names.push(name);
        }
        if self.format == Format::Kustomize {
            let kustomization = serde_json::json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": names,
            });
            let path = place.join("kustomization.yaml");
            output::write(&path, to_yaml(&kustomization).as_bytes())?;
        }
        Ok(())
    }
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .map_err(|error| Failure::failed(format!("cannot make `{}`: {error}", folder.display())))
}

/// Removes the objects that an earlier run wrote. Files of others stay.
fn empty(folder: &Path) -> Result<(), Failure> {
    const KINDS: [&str; 7] = [
        "authorizationpolicy.",
        "serviceentry.",
        "destinationrule.",
        "gateway.",
        "virtualservice.",
        "envoyfilter.",
        "wasmplugin.",
    ];
    let failure =
        |error: io::Error| Failure::failed(format!("cannot empty `{}`: {error}", folder.display()));
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failure)?,
    };
    for entry in entries {
        let entry = entry.map_err(failure)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let written = KINDS.iter().any(|kind| name.starts_with(kind))
            && [".yaml", ".json"].iter().any(|end| name.ends_with(end));
        if written || name == "kustomization.yaml" {
            fs::remove_file(entry.path()).map_err(failure)?;
        }
    }
    Ok(())
}
