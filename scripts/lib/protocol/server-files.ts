/** How an installation says that it has copied new files for the server: root's commands among them are to be run then. */
export const copyingServerFiles = 'COPYING THE FILES FOR THE SERVER'

/** Their folder, in the repository. */
export const serverFolder = 'server'

/** The commands among them that need root. */
export const rootScript = 'root.sh'
