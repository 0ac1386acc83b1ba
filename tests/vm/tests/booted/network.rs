//! The status page: asked for over the network, as a browser and a scraper do.

use plyos_test_vm::vm::{Kind, Vm, free_port, page};

use crate::versions::image;

#[test]
fn the_status_page_tells_what_the_console_tells() {
    let image = image();
    for kind in Kind::BOTH {
        let port = free_port();
        let mut config = image.machine(kind);
        config.port = Some(port);
        let mut vm = Vm::boot(&config);
        let metrics = page(port, "/metrics");
        let (head, text) = metrics.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        for line in ["plyos_mounted 1", "plyos_generation 3", "plyos_layers 2"] {
            assert!(text.lines().any(|other| other == line), "{line} of {text}");
        }
        assert!(page(port, "/").contains("<h1>Plyos</h1>"));
        assert!(page(port, "/nothing").starts_with("HTTP/1.0 404 "));
        let net = vm.run("net").text();
        assert!(net.contains("address  10.0.2.15/24"), "{net}");
        vm.power_off();
    }
}
