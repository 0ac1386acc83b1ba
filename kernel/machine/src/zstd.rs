//! C's zstd, decompressing only, in a workspace of its own that never grows.
//!
//! Whole frames go from one buffer into another, so no window is needed beside the output, whatever a frame asks for. The library
//! takes no memory then, and what it would take it from gives none ([`no_memory`]).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::ptr::NonNull;

use zstd_sys::{
    ZSTD_DCtx, ZSTD_decompressDCtx, ZSTD_estimateDCtxSize, ZSTD_findFrameCompressedSize,
    ZSTD_getFrameContentSize, ZSTD_initStaticDCtx,
};

/// The frame is damaged, is not one frame, or does not hold the bytes that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFrame;

/// A decompressor with its workspace, about 95 KiB.
pub struct Zstd {
    context: NonNull<ZSTD_DCtx>,
    /// The context lies in here. No box: moving one would say that nothing else points into it.
    workspace: NonNull<[u64]>,
}

// SAFETY: I18: the context is a piece of memory that belongs to this value alone; the library has no state besides.
unsafe impl Send for Zstd {}

impl Zstd {
    /// A decompressor. `None` if the library finds its workspace too small, which would be a defect.
    pub fn new() -> Option<Self> {
        // SAFETY: I18: computes a number.
        let size = unsafe { ZSTD_estimateDCtxSize() };
        let words = size.div_ceil(size_of::<u64>());
        let workspace = NonNull::from(Box::leak(vec![0u64; words].into_boxed_slice()));
        // SAFETY: I18: the workspace is aligned to eight bytes, as the library asks, has this size, and lives as long as the context.
        let context = unsafe { ZSTD_initStaticDCtx(workspace.as_ptr().cast(), words * size_of::<u64>()) };
        // Without a context, which would be a defect, the workspace is lost.
        NonNull::new(context).map(|context| Self { context, workspace })
    }

    /// Decompresses one whole frame to exactly `length` bytes.
    ///
    /// # Errors
    /// [`BadFrame`] for anything else.
    pub fn decompress(&mut self, frame: &[u8], length: usize) -> Result<Vec<u8>, BadFrame> {
        let (from, from_length) = (frame.as_ptr().cast::<c_void>(), frame.len());
        // SAFETY: I18: both read at most `from_length` bytes.
        let (content, whole) = unsafe {
            (ZSTD_getFrameContentSize(from, from_length), ZSTD_findFrameCompressedSize(from, from_length))
        };
        // A frame that does not tell its content, or another one behind it, is none of ours. Errors are numbers far above any length.
        if content != length as u64 || whole != from_length {
            return Err(BadFrame);
        }
        let mut out = Vec::with_capacity(length);
        let to: *mut u8 = out.as_mut_ptr();
        // SAFETY: I18: reads at most `from_length` bytes and writes at most `length`, for which there is room; the context is this
        // value's alone.
        let made =
            unsafe { ZSTD_decompressDCtx(self.context.as_ptr(), to.cast(), length, from, from_length) };
        if made != length {
            return Err(BadFrame);
        }
        // SAFETY: I18: that many bytes were written, from the first on.
        unsafe { out.set_len(length) };
        Ok(out)
    }
}

impl Drop for Zstd {
    fn drop(&mut self) {
        // SAFETY: I18: it came from a box, in `new`, and nothing points into it any more: the context ends with this value.
        drop(unsafe { Box::from_raw(self.workspace.as_ptr()) });
    }
}

/// What the library calls for memory. It does so only for contexts that were not given a workspace: nobody makes one.
mod no_memory {
    use super::c_void;

    #[unsafe(no_mangle)]
    extern "C" fn malloc(_: usize) -> *mut c_void {
        core::ptr::null_mut()
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(_: usize, _: usize) -> *mut c_void {
        core::ptr::null_mut()
    }

    #[unsafe(no_mangle)]
    extern "C" fn free(_: *mut c_void) {}
}
