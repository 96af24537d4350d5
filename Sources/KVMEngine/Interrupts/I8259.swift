/// One 8259A programmable interrupt controller as a value (Intel 8259A datasheet, 231468-003).
///
/// The pair that a PC has, with its locks and wires, is ``I8259Pair``. Not modelled: MCS-80/85 mode
/// (a vector is delivered as in 8086 mode), buffered mode's pin.
struct I8259: Codable, Equatable, Sendable {
  /// Levels of the IR inputs, bit n for IRn.
  var lines: UInt8 = 0
  /// Edge requests that wait for an acknowledge; level inputs are taken from `lines`.
  var latched: UInt8 = 0
  /// In-service register.
  var inService: UInt8 = 0
  /// Interrupt mask register (OCW1).
  var mask: UInt8 = 0
  /// Edge/level control register: a set bit makes that input level-triggered.
  var levelInputs: UInt8 = 0
  /// ICW1.LTIM: all inputs are level-triggered.
  var allLevel = false
  /// ICW2: the vector of IR0; a multiple of 8.
  var vectorBase: UInt8 = 0
  /// ICW3: on the master the inputs that have a slave, on the slave its number.
  var cascade: UInt8 = 0
  /// ICW4.AEOI
  var autoEOI = false
  /// OCW2: rotate in automatic EOI mode.
  var rotatesOnAutoEOI = false
  /// ICW4.SFNM
  var specialFullyNested = false
  /// OCW3: special mask mode.
  var specialMask = false
  /// The input of lowest priority, 0 to 7; the next one has the highest.
  var lowestPriority: UInt8 = 7
  /// OCW3: reads of the even port give the in-service register.
  var readsInService = false
  /// OCW3: the next read is a poll.
  var polls = false
  /// The initialization command word that comes next, 2 to 4; 0 when initialized.
  var nextICW: UInt8 = 0
  /// ICW1.SNGL: there is no ICW3.
  var single = false
  /// ICW1.IC4: there is an ICW4.
  var wantsICW4 = false

  /// Bits of ICW1 (datasheet figure 7).
  private enum ICW1 {
    static let needsICW4: UInt8 = 0x01
    static let single: UInt8 = 0x02
    static let levelTriggered: UInt8 = 0x08
    static let select: UInt8 = 0x10
  }

  /// Bits of ICW4 (datasheet figure 7).
  private enum ICW4 {
    static let autoEOI: UInt8 = 0x02
    static let specialFullyNested: UInt8 = 0x10
  }

  /// Bits of OCW3 (datasheet figure 8); OCW3 is told from OCW2 by `select`.
  private enum OCW3 {
    static let readInService: UInt8 = 0x01
    static let readRegister: UInt8 = 0x02
    static let poll: UInt8 = 0x04
    static let select: UInt8 = 0x08
    static let specialMask: UInt8 = 0x20
    static let enableSpecialMask: UInt8 = 0x40
  }

  private var levelMask: UInt8 { allLevel ? 0xFF : levelInputs }

  /// Interrupt request register: what asks for service, masked or not.
  var requests: UInt8 { (latched & ~levelMask) | (lines & levelMask) }

  /// Whether the INT output is high.
  var output: Bool { request != nil }

  /// The input that an acknowledge would serve now, or nil.
  var request: UInt8? {
    guard nextICW == 0 else { return nil }
    guard let candidate = highest(of: requests & ~mask) else { return nil }
    let blocking = specialMask ? inService & ~mask : inService
    guard let served = highest(of: blocking) else { return candidate }
    if rank(candidate) < rank(served) { return candidate }
    let isCascade = cascade & (1 << candidate) != 0
    return candidate == served && specialFullyNested && isCascade ? candidate : nil
  }

  /// 0 for the input of highest priority, 7 for the lowest.
  private func rank(_ input: UInt8) -> UInt8 { (input &- lowestPriority &- 1) & 7 }

  private func highest(of inputs: UInt8) -> UInt8? {
    guard inputs != 0 else { return nil }
    for step in 1...8 as ClosedRange<UInt8> {
      let input = (lowestPriority &+ step) & 7
      if inputs & (1 << input) != 0 { return input }
    }
    return nil
  }

  /// Drives input `input` (0 to 7). An edge-triggered request is withdrawn when its input falls
  /// before the acknowledge (datasheet, "Edge and level triggered modes").
  mutating func setLine(_ input: UInt8, asserted: Bool) {
    let bit: UInt8 = 1 << (input & 7)
    if asserted {
      if lines & bit == 0 { latched |= bit }
      lines |= bit
    } else {
      lines &= ~bit
      latched &= ~bit
    }
  }

  /// Takes `input` into service as the INTA cycle does.
  mutating func serve(_ input: UInt8) {
    let bit: UInt8 = 1 << (input & 7)
    latched &= ~bit
    if autoEOI {
      if rotatesOnAutoEOI { lowestPriority = input & 7 }
    } else {
      inService |= bit
    }
  }

  /// An INTA cycle.
  /// - Returns: the input taken into service; nil where the request is gone, which the processor
  ///   sees as an interrupt of input 7 with no in-service bit.
  mutating func acknowledge() -> UInt8? {
    guard let input = request else { return nil }
    serve(input)
    return input
  }

  /// A read of the chip. `odd` is address line A0.
  mutating func read(odd: Bool) -> UInt8 {
    if polls {
      polls = false
      guard let input = acknowledge() else { return 0 }
      return 0x80 | input
    }
    if odd { return mask }
    return readsInService ? inService : requests
  }

  /// A write to the chip. `odd` is address line A0.
  mutating func write(odd: Bool, _ value: UInt8) {
    if odd {
      writeOdd(value)
    } else if value & ICW1.select != 0 {
      initialize(value)
    } else if value & OCW3.select != 0 {
      writeOCW3(value)
    } else {
      writeOCW2(value)
    }
  }

  private mutating func initialize(_ value: UInt8) {
    let kept = self
    self = I8259()
    lines = kept.lines
    levelInputs = kept.levelInputs
    vectorBase = kept.vectorBase
    cascade = kept.cascade
    allLevel = value & ICW1.levelTriggered != 0
    single = value & ICW1.single != 0
    wantsICW4 = value & ICW1.needsICW4 != 0
    nextICW = 2
  }

  private mutating func writeOdd(_ value: UInt8) {
    switch nextICW {
    case 2:
      vectorBase = value & 0xF8
      nextICW = single ? (wantsICW4 ? 4 : 0) : 3
      if single { cascade = 0 }
    case 3:
      cascade = value
      nextICW = wantsICW4 ? 4 : 0
    case 4:
      autoEOI = value & ICW4.autoEOI != 0
      specialFullyNested = value & ICW4.specialFullyNested != 0
      nextICW = 0
    default:
      mask = value
    }
  }

  private mutating func writeOCW3(_ value: UInt8) {
    if value & OCW3.enableSpecialMask != 0 { specialMask = value & OCW3.specialMask != 0 }
    polls = value & OCW3.poll != 0
    if value & OCW3.readRegister != 0 { readsInService = value & OCW3.readInService != 0 }
  }

  /// OCW2: bits 7 to 5 are R, SL and EOI, bits 2 to 0 an input.
  private mutating func writeOCW2(_ value: UInt8) {
    let input = value & 7
    switch value >> 5 {
    case 0b000: rotatesOnAutoEOI = false
    case 0b001: endNonSpecific(rotate: false)
    case 0b011: inService &= ~(1 << input)
    case 0b100: rotatesOnAutoEOI = true
    case 0b101: endNonSpecific(rotate: true)
    case 0b110: lowestPriority = input
    case 0b111:
      inService &= ~(1 << input)
      lowestPriority = input
    default: break
    }
  }

  /// Ends the service of highest priority; in special mask mode a masked one is not touched.
  private mutating func endNonSpecific(rotate: Bool) {
    guard let served = highest(of: specialMask ? inService & ~mask : inService) else { return }
    inService &= ~(1 << served)
    if rotate { lowestPriority = served }
  }

  /// Why this can't be a chip's state, or nil.
  var problem: String? {
    if lowestPriority > 7 { return "priority \(lowestPriority) does not exist" }
    if nextICW > 4 || nextICW == 1 { return "there is no ICW\(nextICW) to wait for" }
    if vectorBase & 7 != 0 { return "vector base \(vectorBase) is not a multiple of 8" }
    return nil
  }
}
