//! A text is read as a sealed one or refused. What is read opens with no key but its own, and what is sealed comes back.
//!
//! `cargo +nightly fuzz run sealed`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::{
    config::{MasterKey, Sealed},
    types::{MasterKeyId, Secret},
};

fuzz_target!(|text: &str| {
    // Known to whoever reads this, and never used: nothing that comes from elsewhere was sealed with it.
    let Ok(key) = MasterKey::from_text("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff") else { unreachable!() };
    if let Ok(read) = Sealed::parse(text) {
        assert!(text.starts_with(&format!("sealed:{}:", read.id())));
        assert!(read.open(&key).is_err());
    }
    // A text that can't be a master key is refused, and what can be one is written as it was read.
    if let Ok(master) = MasterKey::from_text(text) {
        assert!(MasterKey::from_text(&master.to_text()).is_ok_and(|again| again == master));
    }
    let id: MasterKeyId = "a".parse().expect("a name");
    if !text.is_empty() && !Sealed::is_sealed(text) {
        let sealed = key.seal(&id, &Secret::new(text.to_owned())).expect("it can be sealed");
        let opened = Sealed::parse(&sealed).expect("whole").open(&key).expect("its own key");
        assert_eq!(opened.expose(), text);
    }
});
