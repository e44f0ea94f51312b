#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    postrider_tests::fuzz::run("filter", data);
});
