//! The serial line as the console's terminal, and the loop that waits for what is typed.

use plyos_kernel_console::{Console, Interrupted, Screen, Wish};
use plyos_kernel_devices::net::Effort;
use plyos_kernel_machine::{interrupts, power, serial};

use crate::host::{Host, TYPED};
use crate::log;

const CTRL_C: u8 = 3;

/// The terminal while a key is dealt with.
struct Terminal<'a> {
    host: &'a Host,
    stopped: bool,
}

impl Terminal<'_> {
    /// Takes what was typed meanwhile. Ctrl-C is for the command that runs, and for what was typed ahead of it.
    fn listen(&mut self) -> Result<(), Interrupted> {
        while let Some(byte) = serial::receive() {
            let mut typed = self.host.typed.borrow_mut();
            if byte == CTRL_C {
                typed.clear();
                self.stopped = true;
            } else if typed.len() < TYPED {
                typed.push_back(byte);
            }
        }
        if self.stopped { Err(Interrupted) } else { Ok(()) }
    }
}

impl Screen for Terminal<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Interrupted> {
        serial::send(bytes);
        self.listen()
    }

    fn breathe(&mut self) -> Result<(), Interrupted> {
        self.host.poll_network(Effort::Busy);
        self.listen()
    }
}

/// Runs the console until the machine is to end.
pub fn run(host: &Host) -> ! {
    let mut console = Console::default();
    serial::listen();
    let mut terminal = Terminal { host, stopped: false };
    console.greet(host.standing(), &mut terminal);
    log::prompt(true);
    loop {
        let Some(byte) = next(host) else {
            host.poll_network(Effort::Idle);
            // A byte or a frame ends this, the tick at the latest; a byte that came in between is seen by `done`.
            interrupts::rearm(serial::IRQ);
            if !host.await_network() {
                interrupts::wait(|| interrupts::take(serial::IRQ));
            }
            continue;
        };
        log::prompt(false);
        let mut terminal = Terminal { host, stopped: false };
        match console.key(byte, host, host.standing(), &mut terminal) {
            Some(Wish::Reboot) => power::reset(),
            Some(Wish::PowerOff) => power::off(),
            None => log::prompt(true),
        }
    }
}

/// The next byte that was typed.
fn next(host: &Host) -> Option<u8> {
    host.typed.borrow_mut().pop_front().or_else(serial::receive)
}
