//! What a boot comes to: the machine at its prompt, the other slot, or rescue; and that it goes on from there.

use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Config, Kind, Vm};

/// Boots it; gives what was said up to the prompt.
pub fn boot(config: &Config) -> (Vm, String) {
    let mut vm = Vm::start(config);
    let greeting = vm.wait_for_prompt();
    (vm, greeting)
}

/// The machine still answers and ends.
pub fn goes_on(mut vm: Vm) {
    assert!(vm.run("free").lines[0].starts_with("total "));
    vm.power_off();
}

/// Boots a store in which generation 3 cannot be mounted, for a reason that holds these words, and generation 2 can.
pub fn goes_back_to_2(image: &StoreImage, kind: Kind, why: &str) {
    let (mut vm, greeting) = boot(&image.machine(kind));
    assert!(greeting.contains("generation 2 of 2 layers"), "{greeting}");
    assert!(greeting.contains("passed over: slot") && greeting.contains(why), "{why}: {greeting}");
    assert_eq!(vm.run("cat /www/docs/version").line(), "1");
    assert!(vm.run("status").text().contains("passed over: "));
    goes_on(vm);
}

/// Boots a store of which nothing can be mounted, for a reason that holds these words.
pub fn is_rescue(config: &Config, why: &str) {
    let (mut vm, greeting) = boot(config);
    assert!(greeting.contains("this is the rescue prompt") && greeting.contains(why), "{why}: {greeting}");
    assert!(vm.run("cat /www/docs/version").line().starts_with("nothing is mounted"));
    goes_on(vm);
}
