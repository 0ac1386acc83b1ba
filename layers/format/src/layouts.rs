//! The fixed layouts of this crate, declared once; a test compares them with the tables of `docs/formats.md`.

use plyos_bytemap::{Layout, byte_map};

byte_map! {
    /// See docs/formats.md, "Layer index".
    pub mod index = "index", 128 {
        PREAMBLE: 0, 32;
        STREAM_LEN: 32, 8;
        ENTRY_COUNT: 40, 8;
        CHUNK_COUNT: 48, 8;
        CONTENT_LEN: 56, 8;
        DESCRIPTOR_LEN: 64, 4;
        HEAD_PAGES: 68, 4;
        ENTRY_PAGES: 72, 4;
        CHUNK_PAGES: 76, 4;
        HASH_ALGORITHM: 80, 1;
        STREAM_FORM: 81, 1;
        CUT_RULE: 82, 1;
        MTIME_RULE: 83, 1;
        MAX_CHUNK_LEN: 84, 4;
        RESERVED: 88, 40;
    }
}

byte_map! {
    /// See docs/formats.md, "Layer index": one page in the page directory.
    pub mod page_record = "page_record", 24 {
        PAGE_KIND: 0, 1;
        RESERVED: 1, 7;
        FIRST_ORDINAL: 8, 8;
        STREAM_BASE: 16, 8;
    }
}

byte_map! {
    /// See docs/formats.md, "Layer index": what an entry or chunk page starts with.
    pub mod page_header = "page_header", 16 {
        PAGE_KIND: 0, 1;
        RESERVED: 1, 1;
        RECORD_COUNT: 2, 2;
        USED: 4, 4;
        RESERVED2: 8, 8;
    }
}

/// See docs/formats.md, "Layer index": the fixed part of an entry. Spelt out, because its field `size` would collide with the
/// macro's constant for the size of the layout.
pub mod entry {
    use plyos_bytemap::{Field, Layout};

    const fn field(name: &'static str, offset: usize, size: usize) -> Field {
        Field { name, offset, size }
    }

    /// Bytes in all; changing it is a format break.
    pub const SIZE: usize = 48;
    pub const ENTRY_TYPE: Field = field("ENTRY_TYPE", 0, 1);
    pub const RESERVED: Field = field("RESERVED", 1, 1);
    pub const MODE: Field = field("MODE", 2, 2);
    pub const PREFIX_LEN: Field = field("PREFIX_LEN", 4, 2);
    pub const SUFFIX_LEN: Field = field("SUFFIX_LEN", 6, 2);
    pub const UID: Field = field("UID", 8, 4);
    pub const GID: Field = field("GID", 12, 4);
    pub const MTIME: Field = field("MTIME", 16, 8);
    pub const CONTENT_SIZE: Field = field("SIZE", 24, 8);
    pub const DATA_OFFSET: Field = field("DATA_OFFSET", 32, 8);
    pub const LINK: Field = field("LINK", 40, 4);
    pub const TARGET_LEN: Field = field("TARGET_LEN", 44, 2);
    pub const XATTR_LEN: Field = field("XATTR_LEN", 46, 2);
    /// The whole layout, for the check against docs/formats.md.
    pub const LAYOUT: Layout = Layout {
        name: "entry",
        size: SIZE,
        fields: &[
            ENTRY_TYPE,
            RESERVED,
            MODE,
            PREFIX_LEN,
            SUFFIX_LEN,
            UID,
            GID,
            MTIME,
            CONTENT_SIZE,
            DATA_OFFSET,
            LINK,
            TARGET_LEN,
            XATTR_LEN,
        ],
    };
    const _: () = assert!(
        plyos_bytemap::fills(LAYOUT.fields, SIZE),
        "fields must follow each other and fill the layout"
    );
}

byte_map! {
    /// See docs/formats.md, "Layer index": one chunk.
    pub mod chunk_record = "chunk_record", 36 {
        CHUNK_ID: 0, 32;
        LENGTH: 32, 4;
    }
}

byte_map! {
    /// See docs/formats.md, "Frame table".
    pub mod frame_table = "frame_table", 96 {
        PREAMBLE: 0, 32;
        LAYER_ID: 32, 32;
        FRAME_COUNT: 64, 8;
        FRAMES_LEN: 72, 8;
        FORM: 80, 1;
        CODEC: 81, 1;
        RESERVED: 82, 2;
        ENCODER: 84, 4;
        RESERVED2: 88, 8;
    }
}

byte_map! {
    /// See docs/formats.md, "Blob and footer".
    pub mod footer = "footer", 184 {
        PREAMBLE: 0, 32;
        INDEX_OFFSET: 32, 8;
        INDEX_STORED: 40, 8;
        INDEX_LEN: 48, 8;
        TABLE_OFFSET: 56, 8;
        TABLE_STORED: 64, 8;
        TABLE_LEN: 72, 8;
        LAYER_ID: 80, 32;
        TABLE_HASH: 112, 32;
        STREAM_LEN: 144, 8;
        FORM: 152, 1;
        INDEX_CODEC: 153, 1;
        TABLE_CODEC: 154, 1;
        RESERVED: 155, 29;
    }
}

/// Every layout that this crate declares.
pub const LAYOUTS: &[&Layout] = &[
    &index::LAYOUT,
    &page_record::LAYOUT,
    &page_header::LAYOUT,
    &entry::LAYOUT,
    &chunk_record::LAYOUT,
    &frame_table::LAYOUT,
    &footer::LAYOUT,
];
