import KVMEngine

/// The absolute pointer of VMware's virtual machines, which systems have drivers for: it stands beside
/// the PS/2 mouse, whose interrupt tells of it, and is read through the backdoor port (as the drivers
/// `vmmouse` of Linux and X.Org use it).
///
/// It is part of ``I8042``'s state and guarded by its lock. A packet is four words: buttons and flags,
/// X and Y from 0 to FFFFh (or a movement to the right and up), and the wheel towards the user. Side
/// buttons, which it can't say, are in the mouse's packet that comes with it, where that is an
/// IntelliMouse Explorer's.
///
/// Not modelled: the restriction of the port to privileged code (command 86), which is taken and does
/// nothing, and all of the backdoor that is not about the pointer.
struct VMwarePointer: Codable, Equatable, Sendable {
  /// Commands, in ECX.
  private enum Command {
    static let version: UInt16 = 10
    static let data: UInt16 = 39
    static let status: UInt16 = 40
    static let control: UInt16 = 41
    static let restrict: UInt16 = 86
  }

  /// What ``Command/control`` asks for, in EBX.
  private enum Control {
    static let enable: UInt32 = 0x4541_4552
    static let disable: UInt32 = 0x0000_00F5
    static let relative: UInt32 = 0x4C45_5252
    static let absolute: UInt32 = 0x5342_4152
  }

  private static let version: UInt32 = 6
  /// The product that answers: a workstation's.
  private static let product: UInt32 = 2
  /// The first word after ``Control/enable``.
  private static let identity: UInt32 = 0x3442_554A
  private static let noSuchCommand = UInt32.max
  /// In the upper half of the status: not enabled, or misused.
  private static let failed: UInt32 = 0xFFFF_0000
  private static let relativeFlag: UInt32 = 0x0001_0000
  private static let wordsOfPacket = 4
  /// Words that one call may read.
  private static let readLimit = 6
  /// Words that wait at most.
  static let limit = 1024
  /// The largest coordinate.
  static let range = 0xFFFF

  private(set) var isEnabled = false
  /// Whether packets say where the pointer is, not how far it moved.
  private(set) var isAbsolute = false
  /// Packets that the guest has not read.
  private(set) var words: [UInt32] = []
  /// The last packet is all there and was made for a movement alone: another one replaces it.
  private var endsWithMotion = false
  /// The buttons as the guest was told.
  private var buttons: UInt32 = 0

  /// Serves a call.
  mutating func serve(_ call: inout VMwareCall) {
    switch UInt16(truncatingIfNeeded: call.ecx) {
    case Command.version:
      (call.eax, call.ebx, call.ecx) = (Self.version, VMwareBackdoor.magic, Self.product)
    case Command.data: read(&call)
    case Command.status: call.eax = (isEnabled ? 0 : Self.failed) | UInt32(words.count)
    case Command.control: control(call.ebx)
    case Command.restrict: break
    default: call.eax = Self.noSuchCommand
    }
  }

  private mutating func control(_ request: UInt32) {
    switch request {
    case Control.enable:
      self = VMwarePointer()
      isEnabled = true
      words = [Self.identity]
    case Control.disable: self = VMwarePointer()
    case Control.relative: isAbsolute = false
    case Control.absolute: isAbsolute = true
    default: break
    }
  }

  /// As many words as EBX asks for, in EAX, EBX, ECX, EDX, ESI and EDI. Whoever asks for what is not
  /// there has lost his way in the packets: he finds the pointer failed and enables it anew.
  private mutating func read(_ call: inout VMwareCall) {
    let count = Int(call.ebx)
    guard isEnabled, (1...Self.readLimit).contains(count), count <= words.count else {
      self = VMwarePointer()
      call.eax = Self.noSuchCommand
      return
    }
    for (place, word) in zip(VMwareCall.answers, words.prefix(count)) {
      call[keyPath: place] = word
    }
    words.removeFirst(count)
    if words.count < Self.wordsOfPacket { endsWithMotion = false }
  }

  /// The pointer moved, its wheel was turned, or its buttons changed.
  mutating func add(_ motion: Pointer.Motion) {
    guard isEnabled else { return }
    let held = Self.bits(motion.buttons)
    let isMotion = held == buttons && motion.wheel == 0
    buttons = held
    let packet = isAbsolute ? place(motion) : step(motion)
    if isMotion && isAbsolute && endsWithMotion {
      words.replaceSubrange((words.count - Self.wordsOfPacket)..., with: packet)
    } else if words.count <= Self.limit - Self.wordsOfPacket {
      words += packet
      endsWithMotion = isMotion
    } else {
      // Nobody reads: the last packet at least is true.
      words.replaceSubrange((words.count - Self.wordsOfPacket)..., with: packet)
    }
  }

  private func place(_ motion: Pointer.Motion) -> [UInt32] {
    guard let position = motion.position else {
      return [buttons, 0, 0, Self.wheel(motion)]
    }
    let x = position.x * Self.range / max(1, position.width - 1)
    let y = position.y * Self.range / max(1, position.height - 1)
    return [
      buttons, UInt32(truncatingIfNeeded: x), UInt32(truncatingIfNeeded: y), Self.wheel(motion),
    ]
  }

  private func step(_ motion: Pointer.Motion) -> [UInt32] {
    [
      buttons | Self.relativeFlag, UInt32(truncatingIfNeeded: motion.right),
      UInt32(truncatingIfNeeded: 0 &- motion.down), Self.wheel(motion),
    ]
  }

  /// Drivers take the lowest byte, with its sign.
  private static func wheel(_ motion: Pointer.Motion) -> UInt32 {
    UInt32(bitPattern: Int32(min(max(motion.wheel, -127), 127)))
  }

  private static func bits(_ buttons: MouseButtons) -> UInt32 {
    (buttons.contains(.left) ? 0x20 : 0) | (buttons.contains(.right) ? 0x10 : 0)
      | (buttons.contains(.middle) ? 0x08 : 0)
  }

  /// Why this can't be the state of such a pointer; nil where it can.
  var problem: String? {
    words.count > Self.limit || (endsWithMotion && words.count < Self.wordsOfPacket)
      ? "the pointer's packets are not possible" : nil
  }
}

/// The registers of a call through the backdoor port.
public struct VMwareCall: Sendable, Equatable {
  public var eax: UInt32 = 0
  public var ebx: UInt32 = 0
  public var ecx: UInt32 = 0
  public var edx: UInt32 = 0
  public var esi: UInt32 = 0
  public var edi: UInt32 = 0

  public init() {}

  /// The registers in the order of a packet's words.
  static var answers: [WritableKeyPath<VMwareCall, UInt32>] {
    [\.eax, \.ebx, \.ecx, \.edx, \.esi, \.edi]
  }
}

extension I8042 {
  /// Serves a call that the guest made through the backdoor port.
  public func serve(_ call: inout VMwareCall) {
    guarded.withLock { $0.state.vmware.serve(&call) }
  }

  /// Whether the guest has turned the absolute pointer on.
  var vmwarePointerIsOn: Bool {
    guarded.withLock { $0.state.vmware.isEnabled && $0.state.mouse.reporting }
  }

  /// Moves the absolute pointer, and has the mouse's interrupt tell the guest.
  func moveVMwarePointer(_ motion: Pointer.Motion) {
    guarded.withLock { guarded in
      guard guarded.state.vmware.isEnabled else { return }
      guarded.state.vmware.add(motion)
      guarded.state.mouse.nudge(sideButtons: PS2Mouse.Buttons(rawValue: motion.buttons.rawValue))
      update(&guarded)
    }
  }
}
