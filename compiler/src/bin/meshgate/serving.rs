//! From arguments to something that serves: what `compile` and `run` have in common.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use meshgate_compiler::compile::{
    CompileOptions, Compiled, WorkloadProgram, compile, workload_programs,
};
use meshgate_compiler::diagnostic::Diagnostics;
use meshgate_compiler::manifest::envoy::{self, EnvoyOptions};
use meshgate_compiler::manifest::ratelimit;
use meshgate_compiler::manifest::settings::FilterSettings;
use meshgate_compiler::resource::Resources;
use meshgate_compiler::source::{FileId, SourceMap};
use meshgate_compiler::upstreams::{self, Upstream, Upstreams};

use crate::input::{self, Input};
use crate::output::{self, Failure};
use crate::status;

/// What to compile.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    input: Input,

    /// Name of this version of the configuration, for logs [default: derived from the contents]
    #[arg(long, value_name = "NAME")]
    generation: Option<String>,

    /// Cluster in which the gateways run: services of other clusters are reached by their federated names
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Leave out what has errors and go on with the rest
    #[arg(long)]
    keep_going: bool,

    /// Write the status of every resource to a file, also if there are errors
    #[arg(long, value_name = "FILE")]
    status: Option<PathBuf>,

    /// Accept more than 1024 matchers that a request has to try one after the other
    #[arg(long)]
    allow_long_lists: bool,
}

/// How to serve it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Envoy")]
pub(crate) struct EnvoyArgs {
    /// Where a destination is, such as ratings.bookinfo=127.0.0.1:9081
    ///
    /// The destination may be narrowed to a port and to pod labels: reviews.bookinfo:9080/version=v2=127.0.0.1:9084.
    /// The narrowest name that fits counts; a name given twice has two endpoints.
    #[arg(long = "upstream", value_name = "NAME.NAMESPACE=HOST:PORT")]
    upstreams: Vec<Upstream>,

    /// File that says where destinations are; a file upstreams.yaml among the input is read without being asked
    ///
    /// It has lines such as `ratings.bookinfo: 127.0.0.1:9081` below `upstreams:`; several endpoints are a list.
    #[arg(long = "upstreams", value_name = "FILE")]
    upstreams_file: Option<PathBuf>,

    /// The filter's .wasm file [default: $MESHGATE_FILTER, target/meshgate_filter.wasm, or beside this program]
    #[arg(long, value_name = "FILE")]
    filter: Option<PathBuf>,

    /// Address that gateways listen on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub(crate) listen: IpAddr,

    /// Port of the first gateway; the others get the ports after it, in order of namespace and name
    #[arg(long, value_name = "PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Port of Envoy's admin interface on 127.0.0.1
    #[arg(long, value_name = "PORT")]
    pub(crate) admin: Option<u16>,

    /// Log every request to standard output, one JSON object per line
    #[arg(long)]
    access_log: bool,
}

/// A compiled configuration.
pub(crate) struct Build {
    pub(crate) sources: SourceMap,
    pub(crate) compiled: Compiled,
    pub(crate) program: Vec<u8>,
    keep_going: bool,
}

/// A configuration, compiled for every gateway that runs.
pub(crate) struct Programs {
    pub(crate) sources: SourceMap,
    pub(crate) resources: Resources,
    pub(crate) programs: Vec<WorkloadProgram>,
}

impl BuildArgs {
    /// Compiles. Findings go to standard error; errors end the command unless it is to keep going.
    pub(crate) fn build(&self, first_port: u16) -> Result<Build, Failure> {
        let (sources, mut diagnostics) = self.input.read();
        let mut compiled = compile(&sources, &self.options(first_port), &mut diagnostics);
        output::tell_findings(&diagnostics, &sources);
        input::all_readable(&diagnostics)?;
        if let Some(path) = &self.status {
            let statuses = status::documents(&compiled, &diagnostics, &sources);
            output::write(path, statuses.as_bytes())?;
        }
        self.stop_at_errors(&diagnostics)?;
        if compiled.cluster.is_none() && !compiled.clusters.is_empty() {
            let clusters: Vec<&str> = compiled.clusters.iter().map(String::as_str).collect();
            return Err(Failure::usage(format!(
                "gateways run in several clusters ({}): choose one with `--cluster`",
                clusters.join(", ")
            )));
        }
        let program = compiled.program.take().ok_or_else(|| {
            Failure::failed("there is nothing to serve: the input has no usable VirtualGateway")
        })?;
        Ok(Build {
            sources,
            compiled,
            program,
            keep_going: self.keep_going,
        })
    }

    /// Compiles a program for every gateway that runs. Findings go to standard error.
    pub(crate) fn programs(&self) -> Result<Programs, Failure> {
        let (sources, mut diagnostics) = self.input.read();
        let (resources, programs) = workload_programs(&sources, &self.options(0), &mut diagnostics);
        output::tell_findings(&diagnostics, &sources);
        input::all_readable(&diagnostics)?;
        self.stop_at_errors(&diagnostics)?;
        Ok(Programs {
            sources,
            resources,
            programs,
        })
    }

    fn options(&self, first_port: u16) -> CompileOptions {
        CompileOptions {
            generation: self.generation.clone(),
            cluster: self.cluster.clone(),
            allow_long_lists: self.allow_long_lists,
            first_port,
        }
    }

    fn stop_at_errors(&self, diagnostics: &Diagnostics) -> Result<(), Failure> {
        if diagnostics.has_errors() && !self.keep_going {
            return Err(Failure::failed(
                "nothing was compiled because of these errors; `--keep-going` leaves out what they are about",
            ));
        }
        Ok(())
    }
}

impl Build {
    /// Writes what a rate limit server counts.
    pub(crate) fn rate_limits(&self) -> Result<String, Failure> {
        let mut diagnostics = Diagnostics::default();
        let text = ratelimit::configuration(&self.compiled.resources, &mut diagnostics);
        self.tell(diagnostics)?;
        Ok(text)
    }

    /// Tells findings of a target; errors end the command unless it is to keep going.
    fn tell(&self, mut diagnostics: Diagnostics) -> Result<(), Failure> {
        diagnostics.sort();
        output::tell_findings(&diagnostics, &self.sources);
        if diagnostics.has_errors() && !self.keep_going {
            return Err(Failure::findings());
        }
        Ok(())
    }
}

impl EnvoyArgs {
    /// The first argument given that is of no use without an Envoy.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let given = [
            (!self.upstreams.is_empty(), "--upstream"),
            (self.upstreams_file.is_some(), "--upstreams"),
            (self.filter.is_some(), "--filter"),
            (self.listen != IpAddr::V4(Ipv4Addr::LOCALHOST), "--listen"),
            (self.admin.is_some(), "--admin"),
            (self.access_log, "--access-log"),
        ];
        given
            .into_iter()
            .find_map(|(is_given, name)| is_given.then_some(name))
    }

    /// Compiles, with the ports that the arguments ask for.
    pub(crate) fn build(&self, args: &BuildArgs) -> Result<Build, Failure> {
        let build = args.build(self.port)?;
        if build.compiled.ports.len() < build.compiled.tree.gateways.len() {
            return Err(Failure::usage(format!(
                "there are {} gateways, but not as many ports from {} on: choose a lower `--port`",
                build.compiled.tree.gateways.len(),
                self.port
            )));
        }
        Ok(build)
    }

    /// Writes the bootstrap, as JSON.
    pub(crate) fn bootstrap(
        &self,
        build: &mut Build,
        admin: Option<u16>,
        filter: &Path,
        settings: &FilterSettings,
    ) -> Result<String, Failure> {
        let mut diagnostics = Diagnostics::default();
        let upstreams = self.upstreams(&mut build.sources, &mut diagnostics)?;
        let options = EnvoyOptions {
            listen: self.listen,
            ports: &build.compiled.ports,
            admin,
            filter,
            access_log: self.access_log,
            settings,
        };
        let Compiled {
            tree, resources, ..
        } = &build.compiled;
        let bootstrap = envoy::bootstrap(
            tree,
            resources,
            &build.program,
            &upstreams,
            &options,
            &mut diagnostics,
        );
        build.tell(diagnostics)?;
        Ok(format!("{bootstrap:#}\n"))
    }

    /// Upstreams of the input, then of `--upstreams`, then of `--upstream`; later ones replace earlier ones.
    fn upstreams(
        &self,
        sources: &mut SourceMap,
        diagnostics: &mut Diagnostics,
    ) -> Result<Upstreams, Failure> {
        let mut files: Vec<FileId> = (0..)
            .map(FileId)
            .zip(sources.files())
            .filter(|(_, file)| {
                Path::new(&file.name)
                    .file_name()
                    .is_some_and(|name| name == upstreams::FILE_NAME)
            })
            .map(|(id, _)| id)
            .collect();
        if let Some(path) = &self.upstreams_file {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("cannot read `{name}`: {error}")))?;
            files.push(sources.add(name, text));
        }
        let mut all = Upstreams::default();
        for file in files {
            all.merge(Upstreams::read(sources, file, diagnostics));
        }
        all.add_all(self.upstreams.iter().cloned());
        Ok(all)
    }

    /// The filter; an absolute path.
    pub(crate) fn filter(&self) -> Result<PathBuf, Failure> {
        find_filter(self.filter.as_deref())
    }
}

/// The filter as named, whether it is there or not, else where it usually is; an absolute path.
pub(crate) fn find_filter(named: Option<&Path>) -> Result<PathBuf, Failure> {
    const NAME: &str = "meshgate_filter.wasm";
    if let Some(path) = named {
        return absolute(path);
    }
    if let Some(path) = std::env::var_os("MESHGATE_FILTER").filter(|path| !path.is_empty()) {
        return absolute(Path::new(&path));
    }
    let beside = std::env::current_exe()
        .ok()
        .map(|program| program.with_file_name(NAME));
    [Some(Path::new("target").join(NAME)), beside]
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::failed("the filter was not found: build it with `cargo xtask filter`, or name it with `--filter FILE`")
        })
        .and_then(|path| absolute(&path))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("`{}` is not a path: {error}", path.display())))
}
