import type { Texts } from '../texts.js'

export const es: Texts = {
  greeting: 'Hola, {name}:',
  notices: {
    otp_enabled: {
      subject: 'La autenticación de dos factores está activada', text: 'Se ha activado la autenticación de dos factores en su cuenta.'
    },
    otp_device_added: { subject: 'Se ha añadido un segundo factor', text: 'Se ha añadido otro segundo factor a su cuenta.' },
    otp_device_removed: { subject: 'Se ha eliminado un segundo factor', text: 'Se ha eliminado un segundo factor de su cuenta.' },
    otp_disabled: {
      subject: 'La autenticación de dos factores está desactivada',
      text: 'Se ha desactivado la autenticación de dos factores en su cuenta. Ahora basta la contraseña para abrirla.'
    },
    recovery_regenerated: {
      subject: 'Nuevos códigos de recuperación',
      text: 'Se han creado nuevos códigos de recuperación para su cuenta. Los anteriores ya no valen.'
    },
    recovery_used: {
      subject: 'Se ha usado un código de recuperación', text: 'Se ha usado un código de recuperación para entrar en su cuenta.'
    },
    otp_reset: {
      subject: 'Su segundo factor se ha restablecido',
      text: 'La administración ha restablecido el segundo factor de su cuenta. Todas sus sesiones han terminado.'
    },
    otp_locked: {
      subject: 'Códigos erróneos en su cuenta',
      text: 'Se han dado demasiados códigos erróneos en su cuenta, después de la contraseña correcta. Si no ha sido usted, ' +
        'alguien conoce ' +
        'su contraseña.'
    },
    otp_stopped: {
      subject: 'Ya no se aceptan códigos',
      text: 'Se han dado tantos códigos erróneos en su cuenta, después de la contraseña correcta, que ya no se acepta ningún ' +
        'código de una ' +
        'aplicación hasta que use un código de recuperación o la administración desbloquee la cuenta. Si no ha sido usted, ' +
        'alguien conoce ' +
        'su contraseña.'
    },
    refresh_reused: {
      subject: 'Se ha cerrado una sesión',
      text: 'Un token de una de sus sesiones se ha presentado dos veces, así que quizá haya una copia. Esa sesión ha terminado.'
    },
    password_changed: { subject: 'Su contraseña ha cambiado', text: 'Se ha cambiado la contraseña de su cuenta.' },
    password_reset: {
      subject: 'Su contraseña se ha restablecido',
      text: 'Se ha fijado una contraseña nueva para su cuenta mediante un enlace. Todas sus sesiones han terminado.'
    },
    email_changed: { subject: 'Su dirección de correo ha cambiado', text: 'Se ha cambiado la dirección de correo de su cuenta.' }
  },
  messages: {
    verify_email: {
      subject: 'Confirme su dirección de correo',
      text: 'Confirme que esta es la dirección de correo de la cuenta {username}. El enlace vale durante 24 horas:\n\n{link}\n\n' +
        'Si no lo ha pedido, no tiene que hacer nada.'
    },
    reset_password: {
      subject: 'Fije una contraseña nueva',
      text: 'Se ha pedido una contraseña nueva para la cuenta {username}. El enlace vale durante 30 minutos y una sola vez:\n\n{link}\n\n' +
        'Si no lo ha pedido, no tiene que hacer nada: su contraseña no cambia.'
    },
    undo_email_change: {
      subject: 'Su dirección de correo va a cambiar',
      text: 'Se ha indicado otra dirección de correo para la cuenta {username}. Si ha sido usted, no tiene que hacer nada.\n\n' +
        'Si no ha sido usted, abra este enlace antes de 72 horas. Termina todas las sesiones y conserva esta dirección:\n\n{link}'
    },
    reset_password_staff: {
      subject: 'Su contraseña no se puede restablecer por correo',
      text: 'Se ha pedido una contraseña nueva para la cuenta {username}. Un miembro de la administración sin segundo factor no recibe ' +
        'ningún enlace. Diríjase a otro miembro de la administración.'
    }
  },
  at: 'Cuándo: {at}',
  from: 'Dirección de red: {ip}',
  agent: 'Programa: {agent}',
  device: 'Nombre: {device}',
  recoveryCodesLeft: 'Códigos de recuperación que quedan: {count}',
  more: 'Ha ocurrido {count} veces más desde el último mensaje sobre ello.',
  advice: {
    own: 'Si no ha sido usted, cambie ahora su contraseña y termine sus otras sesiones.',
    staff: 'Si no lo ha pedido, avise ahora a la administración de {issuer}.',
    password: 'Si no ha sido usted, cambie ahora su contraseña. Su segundo factor ha protegido la cuenta.'
  }
}
