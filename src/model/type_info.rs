//! Closes a hole through which every run of a model lost memory.
//!
//! `ort` 2.0.0-rc.14 asks each output of a run for its type (`GetTypeInfo`) and, when it is a tensor, neither reads the
//! answer nor gives it back: some 50 bytes an output, 100 kB in each second of playing, measured with heaptrack on both
//! engines. So the engine answers that question once for all tensors. Delete this file when `ort` releases the answer
//! itself: it must then no longer be shared.

use std::ffi::c_int;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use ort::sys::{OrtApi, OrtStatusPtr, OrtTypeInfo, OrtValue};

/// The only answer about tensors that is ever asked for.
static TENSOR: AtomicPtr<OrtTypeInfo> = AtomicPtr::new(ptr::null_mut());
/// The engine's own functions.
static ENGINE: OnceLock<OrtApi> = OnceLock::new();

/// The engine's functions, with one answer about the type of all tensors.
pub(super) fn answered_once(mut api: OrtApi) -> OrtApi {
    let engine = ENGINE.get_or_init(|| api.clone());
    debug_assert!(ptr::fn_addr_eq(engine.GetTypeInfo, api.GetTypeInfo), "a process has one engine");
    api.GetTypeInfo = type_info;
    api
}

/// As `GetTypeInfo`, but what it says about a tensor belongs to nobody and must not be released.
#[expect(unsafe_code, reason = "the engine is a table of C functions")]
unsafe extern "system" fn type_info(value: *const OrtValue, out: *mut *mut OrtTypeInfo) -> OrtStatusPtr {
    let Some(engine) = ENGINE.get() else { return OrtStatusPtr::default() };
    let mut is_tensor: c_int = 0;
    // SAFETY: the caller keeps the contract of `GetTypeInfo`, which is also that of `IsTensor` with a place of our own.
    let status = unsafe { (engine.IsTensor)(value, &raw mut is_tensor) };
    if !status.0.is_null() {
        return status;
    }
    let known = TENSOR.load(Ordering::Acquire);
    if is_tensor != 0 && !known.is_null() {
        // SAFETY: `out` may be written to by the contract of `GetTypeInfo`.
        unsafe { *out = known };
        return OrtStatusPtr::default();
    }
    // SAFETY: passed on as it came.
    let status = unsafe { (engine.GetTypeInfo)(value, out) };
    if is_tensor != 0 && status.0.is_null() {
        // SAFETY: the engine has just written to it. Two threads that get here at once lose one answer, once.
        TENSOR.store(unsafe { *out }, Ordering::Release);
    }
    status
}
