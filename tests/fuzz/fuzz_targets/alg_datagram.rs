#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ringwall_tests::fuzz::Target::named("alg_datagram").run_on(bytes);
});
