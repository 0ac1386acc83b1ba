//! A tar writer that writes whatever it is told.

/// An archive under construction.
#[derive(Debug, Clone, Default)]
pub struct Archive(Vec<u8>);

/// A header block that says `name`, of type `kind`, with so many bytes to follow.
pub fn header(kind: u8, name: &[u8], size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block
}

/// Writes the sum of all other bytes.
pub fn sum(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Records of a pax header.
pub fn records(list: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in list {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|length| length - length.to_string().len() == rest).unwrap();
        out.extend_from_slice(format!("{length} {key}=").as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

impl Archive {
    /// Without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// With bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// With a header that was changed before it was summed, and content.
    pub fn edited(self, mut block: [u8; 512], edit: impl FnOnce(&mut [u8; 512]), content: &[u8]) -> Self {
        edit(&mut block);
        sum(&mut block);
        let mut out = self.raw(&block).raw(content);
        out.0.resize(out.0.len().next_multiple_of(512), 0);
        out
    }

    /// With an entry of any type.
    pub fn entry(self, kind: u8, name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        self.edited(header(kind, name.as_ref(), content.len() as u64), |_| {}, content)
    }

    /// With a file.
    pub fn file(self, name: &str, content: &str) -> Self {
        self.entry(b'0', name, content.as_bytes())
    }

    /// With a directory.
    pub fn directory(self, name: &str) -> Self {
        self.entry(b'5', name, b"")
    }

    /// With a symbolic link.
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    /// With a hard link.
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    fn link(self, kind: u8, name: &str, target: &str) -> Self {
        let put = |block: &mut [u8; 512]| block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        self.edited(header(kind, name.as_bytes(), 0), put, b"")
    }

    /// With a pax header for what comes next.
    pub fn pax(self, list: &[(&str, &[u8])]) -> Self {
        self.entry(b'x', "PaxHeaders/x", &records(list))
    }

    /// Without an end mark.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }

    /// With the end mark.
    pub fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).0
    }
}
