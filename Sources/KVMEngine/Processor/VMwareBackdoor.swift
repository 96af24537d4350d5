/// The port by which guests call a hypervisor of VMware's kind: IN EAX, DX with a magic number in EAX
/// and a command in ECX is a call, which answers in registers. Any other access is an ordinary one.
public enum VMwareBackdoor {
  /// "VX".
  public static let port: UInt16 = 0x5658
  /// "VMXh", in EAX.
  public static let magic: UInt32 = 0x564D_5868
}
