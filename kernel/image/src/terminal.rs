//! The serial line as the console's terminal, and the loop that waits for what is typed.

use plyos_kernel_console::{Console, Terminal, Turn, Wish};
use plyos_kernel_devices::net::Effort;
use plyos_kernel_machine::{interrupts, power, serial};

use crate::host::Host;
use crate::log;

/// The serial line.
struct Serial<'a>(&'a Host);

impl Terminal for Serial<'_> {
    fn write(&mut self, bytes: &[u8]) {
        serial::send(bytes);
    }

    fn receive(&mut self) -> Option<u8> {
        serial::receive()
    }

    fn breathe(&mut self) {
        self.0.poll_network(Effort::Busy);
    }
}

/// Runs the console until the machine is to end.
pub fn run(host: &Host) -> ! {
    let (mut console, mut terminal) = (Console::default(), Serial(host));
    serial::listen();
    console.greet(host.standing(), &mut terminal);
    loop {
        let turn = console.turn(host, host.standing(), &mut terminal);
        log::prompt(true);
        match turn {
            Turn::Wish(Wish::Reboot) => power::reset(),
            Turn::Wish(Wish::PowerOff) => power::off(),
            Turn::Done => {}
            Turn::Idle => {
                host.poll_network(Effort::Idle);
                // A byte or a frame ends this, the tick at the latest; a byte that came in between is seen by `done`.
                interrupts::rearm(serial::IRQ);
                if !host.await_network() {
                    interrupts::wait(|| interrupts::take(serial::IRQ));
                }
            }
        }
        log::prompt(false);
    }
}
