import Input
import KVMEngine

/// The USB host controller as a PCI card: function 00:03.0 of class 0C0330, with its registers in
/// base address register 0 (xHCI 1.1, 5.2).
enum USBControllerFunction {
  /// Offsets of the controller's own registers: its USB release, and the frame length.
  private enum Register {
    static let messages = 0x50
    static let release = 0x60
    static let frameLength = 0x61
  }
  private static let usb3: UInt8 = 0x30
  private static let frame60000: UInt8 = 0x20

  /// The controller with `tablet` in its first port, and its function.
  static func make(
    tablet: USBTablet, memory: AddressSpace, clock: any Clock
  ) -> (controller: XHCI, function: PCIFunction) {
    // A controller that drivers know by its class alone.
    var identity = PCIIdentity(
      vendor: 0x1B36, device: 0x000D, revision: 0x01, classCode: 0x0C0330, interruptPin: 0)
    identity.subsystemVendor = 0x1AF4
    identity.subsystem = 0x1100
    identity.status = 0
    let function = PCIFunction(name: "xhci-pci", identity)
    function.define(Register.release, usb3)
    function.define(Register.frameLength, frame60000)
    function.addMessages(at: Register.messages)
    let controller = XHCI(
      memory: memory, clock: clock, interrupt: function.interruptLine,
      message: { [unowned function] in function.sendMessage() })
    controller.plug(tablet, port: 1)
    function.setRegion(
      0, PCIRegion(.memory(controller, isPrefetchable: false), size: XHCI.windowBytes))
    return (controller, function)
  }
}
