//! The proxy's memory stays what it is, however many requests and programs come.

use meshgate_host_tests::envoy::delivery::Payload;

use crate::gateway::{Gateway, Start};
use crate::load::{Connections, Load};
use crate::shop;
use crate::{Test, Tools};

pub(crate) const TESTS: &[Test] = &[("memory/requests", requests), ("memory/programs", programs)];

fn requests(tools: &Tools) {
    // Less than 42 bytes for each request. It has been seen to grow by 8 kilobytes in all.
    const MOST: u64 = 2_048;
    let gateway = Gateway::start(tools, Start::default());
    let load = Load::start(gateway.address, 4, Connections::Kept);
    load.wait_for_requests(5_000);
    let before = gateway.memory();
    load.wait_for_requests(50_000);
    let after = gateway.memory();
    load.stop();
    assert!(after < before + MOST, "from {before} to {after} kilobytes");
    gateway.assert_unharmed();
}

fn programs(tools: &Tools) {
    // Three VMs have a program each; if they kept the old ones, this would be the size of some fifteen programs of 120.
    const MOST: u64 = 1_536;
    let mut gateway = Gateway::start(tools, Start::default());
    let programs = [2, 3].map(|number| Payload::Bytes(shop::large_program(number, 2_000)));
    let mut replace = |times| {
        for (_, program) in (0..times).zip(programs.iter().cycle()) {
            gateway.replace(program);
            assert_eq!(gateway.get("/fixed").status, 200);
        }
        gateway.memory()
    };
    let before = replace(20);
    let after = replace(40);
    assert!(after < before + MOST, "from {before} to {after} kilobytes");
    gateway.assert_unharmed();
}
