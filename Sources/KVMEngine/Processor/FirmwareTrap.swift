/// How the firmware's stubs reach Swift: the ROM executes OUT to one port, and what makes that a
/// trap and not an ordinary port write is that the code lies in the ROM.
public enum FirmwareTrap {
  /// The port that stubs write: unassigned on every PC.
  public static let port: UInt16 = 0xB8
  /// Where the ROM lies in real mode, bytes.
  public static let romAddress: UInt64 = 0xF0000
  public static let romBytes: UInt64 = 0x10000
}
