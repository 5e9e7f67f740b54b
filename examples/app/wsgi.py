from app import create as create_app

application = create_app()
