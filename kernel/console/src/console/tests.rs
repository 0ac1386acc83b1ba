//! The console over a system in memory: prompts, wishes, Ctrl-C, rescue.

use alloc::{string::String, vec};

use crate::{
    Wish,
    fakes::{Desk, FakeTerminal, many},
};

#[test]
fn wishes_are_handed_out() {
    let mut desk = Desk::new();
    desk.run("reboot");
    assert_eq!(desk.wish, Some(Wish::Reboot));
    desk.run("poweroff");
    assert_eq!(desk.wish, Some(Wish::PowerOff));
    desk.run("help");
    assert_eq!(desk.wish, None);
}

#[test]
fn the_prompt_comes_back_whatever_was_typed() {
    let mut desk = Desk::new();
    assert_eq!(desk.run(""), "");
    assert_eq!(desk.run("   "), "");
    assert!(desk.run("rm -rf /").starts_with("cannot run rm: there is no such command"));
    assert!(desk.run("cat '").contains("is not closed"));
    assert_eq!(desk.run("echo 'a  b' \\n"), "a\\ \\ b \\x0a\n");
    let help = desk.run("help");
    assert!(crate::command::COMMANDS.iter().all(|usage| help.contains(usage.does)));
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    assert!(desk.run("history").ends_with("echo 'a  b' \\n\nhelp\nhistory\n"));
}

#[test]
fn a_long_answer_can_be_stopped() {
    let mut desk = Desk::new();
    let whole = desk.run("find");
    for writes in [0, 1, 3] {
        let stopped = desk.run_for("find", writes);
        assert!(stopped.ends_with("^C\n"), "{stopped}");
        assert_eq!(stopped.lines().count(), writes + 2, "what was on its way is shown, then no more");
        assert!(whole.starts_with(stopped.strip_suffix("^C\n").unwrap()));
    }
    assert!(desk.run_for("sum /data/large", 0).ends_with("^C\n"), "work that shows nothing, too");
    assert_eq!(desk.run("find"), whole);
    let trees = &mut desk.system.as_mut().unwrap().trees;
    trees.insert(1, many(1500));
    assert_eq!(desk.run_for("find -c", 0), "^C\n", "and a count, before it is done");
    assert_eq!(desk.run("find -c"), "1505\n");
}

#[test]
fn ctrl_c_reaches_the_line_when_no_command_takes_it() {
    let typing = |keys: &[u8], writes: usize, later: &[u8]| {
        let mut terminal = FakeTerminal { later: Some((writes, later.to_vec())), ..FakeTerminal::default() };
        terminal.keys.extend(keys);
        Desk::new().settle(&mut terminal);
        String::from_utf8(terminal.text).unwrap()
    };
    // While the second key is echoed; a third was typed ahead of it.
    assert_eq!(typing(b"abc", 1, b"\x03"), "ab^C\r\nplyos> ");
    assert_eq!(typing(b"abc", 1, b"d\x03echo x\r"), "ab^C\r\nplyos> echo x\r\nx\r\nplyos> ");
    // The command's first write meets it; one that has ended does not.
    assert_eq!(typing(b"echo x\r", 6, b"\x03"), "echo x\r\nx\r\n^C\r\nplyos> ");
    assert_eq!(typing(b"echo x\r", 8, b"\x03"), "echo x\r\nx\r\nplyos> ^C\r\nplyos> ");
    // One that shows nothing takes none.
    assert_eq!(typing(b" \r", 1, b"\x03"), " \r\nplyos> ^C\r\nplyos> ");
    // And in front of a greeting it leads to one prompt.
    let (mut desk, mut terminal) =
        (Desk::new(), FakeTerminal { later: Some((0, vec![3])), ..FakeTerminal::default() });
    desk.console.greet(Desk::standing(&desk.system), &mut terminal);
    desk.settle(&mut terminal);
    let text = String::from_utf8(terminal.text).unwrap();
    assert!(text.ends_with("\r\nplyos> ") && text.matches("plyos> ").count() == 1, "{text}");
}

#[test]
fn in_rescue_the_reasons_are_told_and_what_needs_no_store_works() {
    let mut desk = Desk::new();
    let reasons = vec![String::from("slot A: generation 1: \x1b[2J certificate of base/plain is by nobody")];
    desk.system = Err(reasons);
    let told = desk.run("status");
    assert!(
        told.contains("rescue prompt") && told.contains("slot A: generation 1: \\x1b[2J certificate"),
        "{told}"
    );
    for line in ["ls", "cat x", "stat x", "sum x", "find", "mounts", "generations", "switch 1", "bench x"] {
        assert_eq!(
            desk.run(line),
            "nothing is mounted; 'status' says why, 'log' and 'lsblk' may tell more\n",
            "{line}"
        );
    }
    assert!(desk.run("free").starts_with("total "));
    assert!(desk.run("lsblk").starts_with("vda "));
    assert!(desk.run("log").contains("started"));
}

#[test]
fn it_says_what_is_there() {
    let mut desk = Desk::new();
    let mut terminal = FakeTerminal::default();
    desk.console.greet(Desk::standing(&desk.system), &mut terminal);
    let text = String::from_utf8(core::mem::take(&mut terminal.text)).unwrap();
    assert!(
        text.starts_with("generation 1 of 1 layers, slot A: good, active\r\npassed over: slot B"),
        "{text}"
    );
    assert!(text.ends_with("\r\nplyos> "), "{text}");
    desk.system = Err(vec![String::from("no disk")]);
    desk.console.greet(Desk::standing(&desk.system), &mut terminal);
    let text = String::from_utf8(terminal.text).unwrap();
    assert!(text.contains("rescue prompt.\r\n  no disk\r\n") && text.ends_with("\r\nplyos> "), "{text}");
}
