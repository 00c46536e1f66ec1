//! `meshgate run`: an Envoy that serves the resources.

pub(crate) mod envoy;

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::output::{self, Failure};
use crate::run::envoy::Envoy;
use crate::serving::{Build, BuildArgs, EnvoyArgs};
use crate::settings::SettingsArgs;

/// Time between two looks at Envoy and at signals.
const POLL: Duration = Duration::from_millis(50);

/// Start an Envoy that serves resources, until Ctrl-C
///
/// The Envoy serves plain HTTP, also for gateways with TLS. Errors in the resources end the command, unless it is told to
/// keep going.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  meshgate run config/ --upstream ratings.bookinfo=127.0.0.1:9081
  meshgate run config/ --upstreams upstreams.yaml --port 9000 --access-log
  ENVOY=/opt/envoy meshgate run config/ --listen 0.0.0.0")]
pub(crate) struct Args {
    #[command(flatten)]
    build: BuildArgs,

    #[command(flatten)]
    serving: EnvoyArgs,

    #[command(flatten)]
    settings: SettingsArgs,

    /// The Envoy to start [default: $ENVOY, `envoy` on PATH, or the newest in target/envoy]
    #[arg(long, value_name = "FILE", help_heading = "Envoy")]
    envoy: Option<std::path::PathBuf>,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::failed(format!("cannot wait for signals: {error}")))?;
    let mut build = args.serving.build(&args.build)?;
    let filter = args.serving.filter()?;
    if !filter.is_file() {
        return Err(Failure::failed(format!(
            "the filter `{}` is not a file: build one with `cargo xtask filter`",
            filter.display()
        )));
    }
    // Without a port of its own the admin interface gets a free one, because it tells when Envoy is ready.
    let admin = Some(args.serving.admin.unwrap_or(0));
    let settings = args.settings.settings()?;
    let bootstrap = (args.serving).bootstrap(&mut build, admin, &filter, &settings)?;
    let binary = envoy::find(args.envoy.as_deref()).map_err(Failure::failed)?;

    let cannot =
        |error: std::io::Error| Failure::failed(format!("cannot write a temporary file: {error}"));
    let folder = tempfile::tempdir().map_err(cannot)?;
    fs::write(folder.path().join(envoy::BOOTSTRAP), bootstrap).map_err(cannot)?;
    let mut envoy = Envoy::start(&binary, folder.path()).map_err(Failure::failed)?;

    let mut ready = false;
    loop {
        if signals.pending().next().is_some() {
            envoy.stop();
            return Ok(());
        }
        if let Some(status) = envoy.exited() {
            return Err(Failure::failed(format!(
                "Envoy stopped ({status}); its messages are above"
            )));
        }
        if !ready && envoy.is_ready() {
            ready = true;
            // Whether somebody reads it or not, Envoy serves.
            let _ = output::print(&addresses(&build, args.serving.listen, envoy.admin()));
        }
        std::thread::sleep(POLL);
    }
}

/// The address of every gateway, with a request to try.
fn addresses(build: &Build, listen: IpAddr, admin: Option<&str>) -> String {
    let host = match listen {
        IpAddr::V6(address) if address.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(address) => format!("[{address}]"),
        IpAddr::V4(address) => address.to_string(),
    };
    let mut text = String::new();
    for (gateway, port) in build
        .compiled
        .tree
        .gateways
        .iter()
        .zip(&build.compiled.ports)
    {
        let scheme = if gateway.tcp.is_some() { "tcp" } else { "http" };
        let url = format!("{scheme}://{host}:{port}");
        text.push_str(&format!("{} at {url}\n", gateway.name));
        let mut domains: Vec<String> = gateway
            .hosts
            .iter()
            .flat_map(|host| &host.domains)
            .map(ToString::to_string)
            .collect();
        domains.sort();
        for domain in domains.iter().take(5) {
            let name = domain.replace('*', "any");
            text.push_str(&format!("  curl -i -H 'host: {name}' {url}/\n"));
        }
        if domains.len() > 5 {
            text.push_str(&format!("  and {} more domains\n", domains.len() - 5));
        }
    }
    if let Some(admin) = admin {
        text.push_str(&format!("Envoy's admin interface at http://{admin}\n"));
    }
    text.push_str("Ctrl-C stops it\n");
    text
}
