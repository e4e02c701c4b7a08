// A Proxy-Wasm plugin (0.2.0) in Rust without crates, for tests: the guest's side written from the specification. Its memory is
// given out by the standard allocator, which Rust's own library brings.
use std::alloc::{alloc, Layout};
use std::collections::HashMap;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_header_map_value(map: u32, key: *const u8, key_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, key: *const u8, key_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32, details: *const u8, details_size: usize, body: *const u8, body_size: usize, headers: *const u8,
        headers_size: usize, grpc_status: i32,
    ) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, length: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
}

const REQUEST_HEADERS: u32 = 0;
const RESPONSE_HEADERS: u32 = 2;
const PLUGIN_CONFIGURATION: u32 = 7;

static mut COUNTS: Option<HashMap<String, u32>> = None;
static mut LIMIT: u32 = 0;

// What the host has put into memory that it asked this plugin for.
unsafe fn taken(data: *mut u8, size: usize) -> String {
    if data.is_null() {
        return String::new();
    }
    String::from_utf8_lossy(&Vec::from_raw_parts(data, size, size)).into_owned()
}

fn header(map: u32, name: &str) -> Option<String> {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    unsafe {
        match proxy_get_header_map_value(map, name.as_ptr(), name.len(), &mut data, &mut size) {
            0 => Some(taken(data, size)),
            _ => None,
        }
    }
}

fn set_header(map: u32, name: &str, value: &str) {
    let status = unsafe { proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    assert_eq!(status, 0, "a header that the host takes");
}

#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_0() {}

#[no_mangle]
pub unsafe extern "C" fn malloc(size: usize) -> *mut u8 {
    alloc(Layout::from_size_align_unchecked(size, 1))
}

#[no_mangle]
pub unsafe extern "C" fn proxy_on_configure(_root: u32, size: usize) -> u32 {
    let (mut data, mut length) = (std::ptr::null_mut(), 0);
    proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, size, &mut data, &mut length);
    let text = taken(data, length);
    // {"limit":3}
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    match digits.parse() {
        Ok(limit) => LIMIT = limit,
        Err(_) => {
            let reason = format!("no limit in {text}");
            proxy_log(4, reason.as_ptr(), reason.len());
            return 0;
        }
    }
    COUNTS = Some(HashMap::new());
    1
}

#[no_mangle]
pub unsafe extern "C" fn proxy_on_request_headers(_id: u32, _count: u32, _last: u32) -> u32 {
    let user = match header(REQUEST_HEADERS, "x-user") {
        Some(user) => user,
        None => return 0,
    };
    if user == "panic" {
        panic!("nobody has that name");
    }
    let counts = COUNTS.as_mut().unwrap();
    let count = counts.entry(user.clone()).or_insert(0);
    *count += 1;
    if *count > LIMIT {
        let body = format!("{user} has asked {count} times\n");
        proxy_send_local_response(429, std::ptr::null(), 0, body.as_ptr(), body.len(), std::ptr::null(), 0, -1);
        return 1;
    }
    set_header(REQUEST_HEADERS, "x-asked", &count.to_string());
    0
}

#[no_mangle]
pub extern "C" fn proxy_on_response_headers(_id: u32, _count: u32, _last: u32) -> u32 {
    set_header(RESPONSE_HEADERS, "x-by", "rust");
    0
}
