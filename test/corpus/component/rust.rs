// A plugin in Rust with its standard library and without crates: what a generator of bindings would write is written by hand. Counts who
// asks in a map of its own, looks at the clock, prints, and panics when it is told to.
use std::alloc::{alloc, realloc, Layout};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

#[link(wasm_import_module = "penstock:plugin/http@1.0.0")]
extern "C" {
    #[link_name = "header"]
    fn http_header(head: i32, name: *const u8, size: usize, answer: *mut OptionalBytes);
    #[link_name = "set-header"]
    fn http_set_header(head: i32, name: *const u8, size: usize, value: *const u8, value_size: usize) -> i32;
    #[link_name = "reply-text"]
    fn http_reply_text(status: i32, body: *const u8, size: usize);
}

#[link(wasm_import_module = "penstock:plugin/config@1.0.0")]
extern "C" {
    #[link_name = "get"]
    fn config_get(key: *const u8, size: usize, answer: *mut OptionalBytes);
}

const REQUEST: i32 = 0;
const CONTINUE: i32 = 0;
const REPLY: i32 = 1;

// option<list<u8>>, as the canonical ABI lays it out.
#[repr(C)]
struct OptionalBytes {
    is_some: u8,
    bytes: *mut u8,
    size: usize,
}

fn asked(ask: impl FnOnce(*mut OptionalBytes)) -> Option<String> {
    let mut answer = OptionalBytes { is_some: 0, bytes: std::ptr::null_mut(), size: 0 };
    ask(&mut answer);
    if answer.is_some == 0 {
        return None;
    }
    // It has been allocated by `cabi_realloc`, below; an empty list has not.
    let bytes = match answer.size {
        0 => Vec::new(),
        size => unsafe { Vec::from_raw_parts(answer.bytes, size, size) },
    };
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn header(name: &str) -> Option<String> {
    asked(|answer| unsafe { http_header(REQUEST, name.as_ptr(), name.len(), answer) })
}

fn set_header(name: &str, value: &str) {
    let set = unsafe { http_set_header(REQUEST, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    assert_eq!(set, 1, "a header that the gateway takes");
}

#[export_name = "cabi_realloc"]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    if size == 0 {
        align as *mut u8
    } else if old_size == 0 {
        alloc(Layout::from_size_align_unchecked(size, align))
    } else {
        realloc(old, Layout::from_size_align_unchecked(old_size, align), size)
    }
}

struct Checker {
    token: String,
    counts: HashMap<String, u32>,
}

static mut CHECKER: Option<Checker> = None;

#[export_name = "on-configure"]
pub extern "C" fn on_configure() -> i32 {
    let token = asked(|answer| unsafe { config_get("token".as_ptr(), 5, answer) });
    if token.is_none() {
        eprintln!("no token is configured");
        return 0;
    }
    unsafe { CHECKER = token.map(|token| Checker { token, counts: HashMap::new() }) };
    1
}

#[export_name = "on-request"]
pub extern "C" fn on_request() -> i32 {
    let checker = unsafe { CHECKER.as_mut() }.expect("hooks run once it is configured");
    let given = header("x-token").unwrap_or_default();
    if given == "panic" {
        panic!("on purpose");
    }
    let count = checker.counts.entry(given.clone()).or_insert(0);
    *count += 1;
    println!("{:?} has asked {} times", given, count);
    if given != checker.token {
        let body = format!("no token ({})\n", count);
        unsafe { http_reply_text(401, body.as_ptr(), body.len()) };
        return REPLY;
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    set_header("x-count", &count.to_string());
    set_header("x-seconds", &seconds.to_string());
    CONTINUE
}
