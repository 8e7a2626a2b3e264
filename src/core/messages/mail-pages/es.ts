import type { Texts } from './en.js'

export const es: Texts = {
  verify_email: {
    title: 'Confirme su dirección de correo',
    text: 'Confirme que esta dirección pertenece a su cuenta.',
    button: 'Confirmar',
    done: 'Su dirección está confirmada. Puede cerrar esta página.'
  },
  reset_password: {
    title: 'Establecer una contraseña nueva',
    text: 'Todas sus sesiones terminarán. Su segundo factor queda como está.',
    button: 'Establecer la contraseña',
    done: 'Su contraseña está establecida. Ya puede iniciar sesión con ella.'
  },
  undo_email_change: {
    title: 'Conserve su dirección de correo',
    text: 'Todas las sesiones de su cuenta terminarán y esta dirección se conserva. Después inicie sesión y cambie su contraseña.',
    button: 'Conservar esta dirección',
    done: 'Esta dirección se conserva y todas las sesiones han terminado. Inicie sesión y cambie su contraseña ahora.'
  },
  newPassword: 'Contraseña nueva',
  incomplete: 'Este enlace está incompleto. Abra de nuevo el enlace del correo.',
  noAnswer: 'No hay respuesta. Inténtelo de nuevo en un momento.',
  needsScript: 'Esta página necesita JavaScript para enviar el código de su enlace.'
}
